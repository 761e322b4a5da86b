// Tells the metadata server which uploaded chunks are now part of which
// files.
//
// Commits that threads ask for at the same time travel together: the first
// of them sends for all. At most a few calls are on their way, and of one
// inode never more than one: so a commit never overtakes an earlier one of
// the same file. Each names exactly what is live when it is sent; bytes
// written over meanwhile stay dirty.
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "common/base/clock.h"
#include "common/client/inode_state.h"
#include "common/client/meta_sync.h"
#include "common/rpc/meta_client.h"

namespace dfs {

enum class CommitMode {
  plain,   // visible to everybody
  synced,  // and surviving power loss
};

struct CommitOutcome {
  bool sent = false;  // there was something to commit
};

class Committer {
 public:
  Committer(MetaClient& meta, const Clock& clock, MetaSync& meta_sync, LeaseGate& gate)
      : meta_(meta), clock_(clock), meta_sync_(meta_sync), gate_(gate) {}
  // Waits for answers that nobody waited for.
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Commits what is uploaded of `state`; with `synced`, also placements that
  // `extra` reports. Nothing to commit: ok, with `sent` false. Errors that
  // only this file is to blame for are kept in the state and its uploaded
  // bytes forgotten; others leave everything as it was:
  //   interrupted  the commit may still happen; its answer will be taken in
  //   busy         another change of this inode is on its way: wait for it
  //   retryable ones, session_lost
  Result<CommitOutcome> commit(const InodeStatePtr& state, CommitMode mode,
                         std::vector<ChunkPlacement> extra, Interrupt* interrupt);
  // The same, plain, for many; those that are busy are left out.
  Result<void> commit_all(const std::vector<InodeStatePtr>& states, Interrupt* interrupt);

 private:
  // One inode's part of a commit.
  struct Part {
    InodeStatePtr state;
    std::vector<ChunkPlacement> extra;
    // Filled when it is sent.
    CommitFile file;
    std::vector<DirtyFile::Range> ranges;
    std::vector<std::shared_ptr<PendingChunk>> chunks;  // keeps what `ranges` point to
    WriteLog* log = nullptr;  // that has to be stable before
    // The result.
    bool taken = false;
    bool done = false;
    Result<CommitOutcome> outcome;
  };
  using PartPtr = std::shared_ptr<Part>;
  using Parts = std::vector<PartPtr>;

  Result<CommitOutcome> wait_for(const PartPtr& part, CommitMode mode, Interrupt* interrupt);
  Parts take_batch_locked(CommitMode mode);
  void run(const Parts& batch, CommitMode mode, Interrupt* interrupt);
  bool prepare(Part& part);
  Result<void> send(const Parts& batch, SessionId session, CommitMode mode, Interrupt* interrupt);
  // Takes the answer in; false if the batch is to be sent again one by one.
  bool settle(const Parts& batch, CommitMode mode, const Result<MetaResult>& answer);
  void apply(Part& part, const Attributes& after);
  void refuse(Part& part, const Error& problem);
  void vanish(Part& part);
  void overtaken(Part& part);
  void give_back(Part& part, const Error& problem);
  void finish(Part& part, Result<CommitOutcome> outcome);

  MetaClient& meta_;
  const Clock& clock_;
  MetaSync& meta_sync_;
  LeaseGate& gate_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::deque<PartPtr> waiting_plain_;
  std::deque<PartPtr> waiting_synced_;
  std::size_t calls_ = 0;
  std::size_t late_ = 0;  // answers that nobody waits for
};

}  // namespace dfs
