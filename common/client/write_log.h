// What is written and not on the servers, on this machine's disk: a mount that has one
// answers a write when the log has it on stable media, and the next mount sends what this
// one could not, whatever became of the machine (write_log_recovery.h).
//
// Played back in order, the records of a file say which of its bytes wait and what they follow;
// for that the file's lock is held while a record is added. A segment is deleted when
// no chunk needs a record in it or before it, the oldest first: so nothing comes back that was
// settled.
//
//   DIR/LOCK              one mount at a time
//   DIR/NNNNNNNNNN.log    segments (write_log_format.h)
//   DIR/kept/             what recovery could not send
//
// Bounds:  bytes_max, beyond which writers wait; what is not written yet is what writers
//          wait for, and a few records that nobody does.
// Errors:  the first one is said, and from then on nothing is recorded.
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/directory_lock.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/base/zero_ahead.h"
#include "common/client/wait.h"
#include "common/client/write_log_format.h"
#include "common/client/write_log_reader.h"
#include "common/rpc/session_memo.h"

namespace dfs {

class WriteLog {
 public:
  struct Options {
    std::filesystem::path directory;  // exists
    std::string cluster;              // whose bytes these are
    std::uint64_t bytes_max = 1 * GiB;
    std::uint64_t segment_bytes = 64 * MiB;  // a new one is begun behind that
  };
  // Reads what a former mount has left. While that waits, nothing is recorded but
  // intends() and settle_former(): what is sent of it is in the log already.
  //   busy           another process has it
  //   wrong_cluster, wrong_version, io   as read_write_log() says
  static Result<std::unique_ptr<WriteLog>> open(Options options);
  WriteLog(const WriteLog&) = delete;
  WriteLog& operator=(const WriteLog&) = delete;

  // --- what is written ---
  // While it lives, its record is kept, and all behind it.
  class Hold {
   public:
    Hold() = default;
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    Hold(Hold&& other) noexcept
        : log_(std::exchange(other.log_, nullptr)), sequence_(other.sequence_) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(log_, other.log_);
      std::swap(sequence_, other.sequence_);
      return *this;
    }
    ~Hold() {
      if (log_ != nullptr) log_->release(sequence_);
    }
    // Another of the same record.
    Hold again() const { return log_ == nullptr ? Hold() : log_->hold(sequence_); }
    explicit operator bool() const { return log_ != nullptr; }

   private:
    friend class WriteLog;
    Hold(WriteLog& log, std::uint64_t sequence) : log_(&log), sequence_(sequence) {}
    WriteLog* log_ = nullptr;
    std::uint64_t sequence_ = 0;
  };
  [[nodiscard]] Hold wrote(InodeId inode, std::uint64_t offset, BufferView data,
                           const UnsentFacts& facts);
  // These do not wait any more.
  void cut(InodeId inode, std::span<const LogRange> ranges);
  // What waits of the inode follows this.
  void facts(InodeId inode, const UnsentFacts& facts);
  // A commit is about to be sent that adds one to `data_change`, and has this chunk.
  void intends(InodeId inode, std::uint64_t data_change, ChunkId chunk);
  // Whose leases are in the way of the next mount.
  void set_session(const SessionMemo& session);

  // Waits until all that was recorded so far survives the loss of power. False: it may not,
  // because the log cannot be written.
  [[nodiscard]] bool make_stable();

  // --- its size ---
  bool has_room() const;
  // The background has to make room meanwhile: chunks that are sent, tidy().
  Wake wait_for_room(const WaitLimits& limits);
  // Deletes segments that nothing needs. If nothing is `busy`, what was recorded is made stable, so
  // that the next mount finds nothing to do.
  enum class Activity { busy, idle };
  void tidy(Activity activity);
  std::uint64_t bytes() const;

  // --- what a former mount has left ---
  FormerWrites& former() { return former_; }
  // From here on all is recorded; what a former mount has left stays.
  void begin();
  // Of the inode nothing waits any more.
  void settle_former(InodeId inode);
  // What is recorded by now takes the place of all of it. Calls begin().
  void settle_former();
  // All of it is on the servers. Calls begin(), and tries again to write what could not be
  // written: there may be room now. Nobody uses the log meanwhile.
  void remove_former();
  // The mount is over: deletes what nothing needs, all of it if all is sent.
  void end();

 private:
  // A record that is not written yet.
  struct Pending {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t count = 0;
  };
  struct Segment {
    std::uint64_t number = 0;
    std::uint64_t first_sequence = 0;
    std::uint64_t bytes = 0;
  };
  struct State {
    bool records_all = true;
    bool failed = false;
    bool writing = false;  // somebody writes for all who wait
    std::vector<Pending> pending;
    std::uint64_t pending_bytes = 0;
    std::uint64_t last = 0;    // the sequence given last
    std::uint64_t stable = 0;  // up to here on stable media
    std::map<std::uint64_t, std::uint32_t> holds;
    std::deque<Segment> segments;  // of this mount, the oldest first
    SessionMemo session{};
  };

  WriteLog(Options options, DirectoryLock lock, FormerWrites former);
  bool records_all() const;
  Hold hold(std::uint64_t sequence);
  void release(std::uint64_t sequence);
  std::uint64_t add(LogRecordHeader header, BufferView payload);
  std::uint64_t add_locked(Pending record);
  // By the one who writes, without the lock.
  Result<void> write_batch(std::vector<Pending>& batch, std::uint64_t stable);
  Result<void> begin_segment(std::uint64_t first_sequence);
  Result<void> write_zeros(std::uint64_t count);
  Result<void> sync_directory() const;
  Result<void> remove(const std::filesystem::path& segment) const;
  void remove_former_segments();
  std::uint64_t bytes_locked() const;
  void failed(const Error& problem);
  // Those that are not needed, the oldest first; with `all`, the one that is written too.
  void trim(bool all);

  const Options options_;
  const DirectoryLock lock_;
  FormerWrites former_;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  State state_;

  // Of the one who writes.
  UniqueFd file_;
  LogSegmentHeader header_{};
  std::uint64_t end_ = 0;
  std::uint64_t next_number_ = 1;
  bool is_new_ = false;  // the directory may not know it yet
  std::optional<ZeroAhead> zeros_;
};

}  // namespace dfs
