// What the client knows of one inode in use: attributes and extents from the
// server, and on top of them what was done here and is not committed yet.
//
// This file is the one place that decides whether a cached fact may be used
// (attributes_usable, extents_usable, pages_usable): by the lease or, without one,
// by age; and contents by data_change.
//
// `contents_change` is the data_change for which the extents hold. The server
// adds exactly one to an inode's data_change with each change of contents; so
// when a change of ours ends one above it, nobody else changed the file in
// between.
//
// Threads: any; everything but `inode` is touched with `mutex` held. No other
// lock is taken and nothing waits while it is held, but for `changed`.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "common/client/dirty_file.h"
#include "common/client/extent_map.h"
#include "common/client/freshness.h"
#include "common/rpc/meta_api.h"

namespace dfs {

// A committed chunk that is not known to be on stable media everywhere.
struct UnsyncedChunk {
  ChunkId chunk;
  std::uint32_t length = 0;
  std::vector<ServerId> stored_on;
};

class InodeState {
 public:
  InodeState(InodeId id, WriteBuffer& buffer) : inode(id), dirty(buffer, id) {}

  const InodeId inode;
  mutable std::mutex mutex;
  // Something below changed that somebody may wait for.
  std::condition_variable changed;
  // Counts the changes, for whoever waits without the lock.
  std::atomic<std::uint64_t> progress{0};
  void notify_locked() {
    progress.fetch_add(1, std::memory_order_release);
    changed.notify_all();
  }

  // --- from the server ---
  Attributes attributes;
  std::optional<SteadyTime> attributes_at;  // empty: unknown
  ExtentMap extents;
  std::uint64_t contents_change = 0;

  // --- from here ---
  DirtyFile dirty;
  std::optional<WallNanos> dirty_mtime;  // of writes not committed yet
  bool clear_set_id = false;             // to be done by the next commit
  // A commit, truncation or other change of the contents is on its way: no
  // other one may start.
  bool exclusive = false;
  // So too, unless it is a commit. It takes what is buffered when its answer
  // comes, maybe long after its caller has gone; so writes wait.
  bool holds_writes = false;
  // The change on its way is one of a former process, which this operation repeats;
  // 0: it is not.
  std::uint64_t awaits_operation = 0;
  std::optional<Error> error;  // for the next flush, fsync or close
  bool gone = false;           // the server does not have the inode any more
  bool dropped = false;        // it was removed and in no use: bytes of it were not sent
  std::uint32_t opens = 0;
  // As often as the server knows: opening under a lease does not tell it. Never
  // above `opens` for long: close() has it counted down.
  std::uint32_t told_opens = 0;
  // A new session took the place of the one under which the buffered bytes were
  // written: they may follow this data_change only, or changes of ours that did.
  std::optional<std::uint64_t> commit_only_after;
  // What is written is what a former mount had been told was (FileSystem::rewrite): with the
  // same facts, and under the condition above until it is closed.
  std::optional<UnsentFacts> rewrites;
  std::uint32_t flushers = 0;  // threads that wait for its bytes, and move them along

  // --- what is on stable media ---
  std::vector<UnsyncedChunk> unsynced;  // committed by us, at most kUnsyncedMax
  // False: others, or we long ago, may have written chunks that are not synced.
  bool history_known = false;
  std::uint64_t lineage = 0;   // grows when somebody else changed the contents

  // The kernel's cached pages show this data_change (and what was written here since).
  std::optional<std::uint64_t> pages_change;
  // When they were last to be forgotten because others wanted the lease or had
  // changed the file. A write that the kernel had put into them before may come
  // later than that.
  std::optional<SteadyTime> pages_forgotten_at;
  // Nor are its cached attributes older. Not known by an open, which does not
  // bring the kernel any.
  std::optional<std::uint64_t> kernel_change;

  // A program here has asked for a POSIX lock.
  std::atomic<bool> was_locked_here{false};

  static constexpr std::size_t kUnsyncedMax = 1024;

  // --- may it be used? ---
  bool attributes_usable_locked(const Freshness& freshness) const {
    return attributes_at && freshness.usable(attributes, *attributes_at);
  }
  bool extents_usable_locked(std::uint64_t end) const { return extents.known_through() >= end; }
  bool pages_usable_locked() const { return pages_change && *pages_change == attributes.data_change; }

  // The kernel is told to forget them for a program here. What has no other open file
  // than that program's has no writes of others on their way.
  void pages_forgotten_locked(SteadyTime now) {
    if (opens > 1) pages_forgotten_at = now;
  }
  // Nothing of the kernel's is older than `attributes`. If it is not so, the
  // caller has it made so.
  bool kernel_is_told_locked();

  // --- learning ---
  // Attributes that the server answered; older ones than known are ignored.
  void learn_locked(const Attributes& fresh, SteadyTime now);
  // The same with the first extents of the file.
  void learn_opened_locked(const OpenResult& opened, SteadyTime now);
  // A page of extents, asked for from `from` on. False: it belongs to other
  // contents than what is known, ask again from known_through().
  bool learn_extents_locked(std::uint64_t from, const ExtentsResult& page);
  // What was known of the contents does not hold any more.
  void forget_contents_locked() { others_changed_locked(0); }
  // The server made a change of ours that says nothing of the chunks: those
  // there are now have to be asked for, and may be anybody's.
  void chunks_unknown_locked() { others_changed_locked(contents_change); }
  // A change of the contents at `when` is there: earlier writes do not set mtime any more.
  void changed_at_locked(WallNanos when) {
    if (dirty.empty() || dirty_mtime <= when) dirty_mtime.reset();
    remember_locked();
  }
  // What would have to be committed with what is buffered, by this process or the next.
  void remember_locked() {
    if (!dirty.empty()) dirty.set_facts(unsent_facts_locked());
  }
  UnsentFacts unsent_facts_locked() const {
    return {dirty_mtime, clear_set_id, commit_only_after.value_or(contents_change),
            dirty.facts().changed_by};
  }
  // The server made a change of ours, after which the attributes are `after`.
  // True: the extents may follow it; false: they already show it or are unknown.
  bool own_change_locked(const Attributes& after, SteadyTime now);

  // --- asking ---
  std::uint64_t size_locked() const;
  Attributes merged_locked() const;

  // It has no name and no user: nobody will read what was not sent.
  void drop_unsent_locked() {
    if (opens > 0 || dirty.empty()) return;
    dirty.clear();
    dropped = true;
  }

  void stop_rewriting_locked() {
    rewrites.reset();
    if (dirty.empty()) commit_only_after.reset();
  }

  // Nothing would be lost if it were forgotten.
  bool idle_locked() const { return opens == 0 && dirty.empty() && !error && !exclusive; }

  // The error to report, which is reported by this.
  std::optional<Error> take_error_locked();
  void keep_error_locked(const Error& problem) {
    if (!error) error = problem;
  }
  void add_unsynced_locked(UnsyncedChunk chunk);

  // How often it is open here without the server's knowledge.
  std::uint32_t untold_opens_locked() const { return opens > told_opens ? opens - told_opens : 0; }
  // How often the server believes it open beyond what is, from now on not any more.
  std::uint32_t take_overtold_locked() {
    const std::uint32_t excess = told_opens > opens ? told_opens - opens : 0;
    told_opens -= excess;
    return excess;
  }

 private:
  void others_changed_locked(std::uint64_t data_change);
  void take_attributes_locked(const Attributes& fresh, SteadyTime now);
};
using InodeStatePtr = std::shared_ptr<InodeState>;

}  // namespace dfs
