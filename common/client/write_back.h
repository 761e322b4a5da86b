// Moves written bytes to the servers: in the background, and for whoever
// waits for them.
//
// Background, one thread: chunks that are full are uploaded at once, open
// ones when they are older than flush_interval or when writers wait for
// memory; what is uploaded is committed. Whoever calls flush() or fsync()
// does the same work for that file in its own thread, so that the usual case
// wakes no other thread.
//
// Threads: any. The destructor stops the background and waits for calls on
// their way; what is still buffered then is lost (FileSystem::sync first).
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/client/chunk_allocator.h"
#include "common/client/chunk_syncer.h"
#include "common/client/chunk_writer.h"
#include "common/client/client_config.h"
#include "common/client/committer.h"
#include "common/client/file_system.h"
#include "common/client/inode_state.h"
#include "common/client/meta_sync.h"
#include "common/client/server_health.h"
#include "common/client/write_buffer.h"

namespace dfs {

class WriteBack {
 public:
  struct Parts {
    MetaClient& meta;
    StoragePool& storage;
    ServerHealth& health;
    const Clock& clock;
    const ClientConfig& config;
    WriteBuffer& buffer;
    MetaSync& meta_sync;
    LeaseGate& gate;
  };
  explicit WriteBack(const Parts& parts);
  ~WriteBack();
  WriteBack(const WriteBack&) = delete;
  WriteBack& operator=(const WriteBack&) = delete;

  // Bytes were written to a state that had none, or chunks became full.
  void wrote(const InodeStatePtr& state);
  // There is something to do in the background (memory is short, a waiter left).
  void kick();
  // The servers said lately that they are full.
  bool full() const { return writer_.full(); }

  // Everything written to `state` so far is committed when it returns.
  // Errors: the file's kept one, which is reported by this unless it is left for a
  // program to hear; interrupted, timed_out and the like leave the bytes buffered.
  enum class KeptError { report, leave };
  Result<void> flush(const InodeStatePtr& state, Interrupt* interrupt,
                     KeptError kept_error = KeptError::report);
  // And survives power loss.
  Result<void> fsync(const InodeStatePtr& state, Interrupt* interrupt);
  // flush() for every file; the first error, after all have been tried.
  Result<void> flush_all(Interrupt* interrupt);
  // What is not committed yet, of every file.
  FileSystem::Unsent unsent() const;
  UnsentBytes at_risk() const;

  // Between the two no commit of the inode is on its way, none can start, and
  // write() waits. What was written stays buffered meanwhile.
  // `operation`: of which it is a part, 0: none. If this process is killed in between,
  // the next one begins where this was, and waits for the operation to come again.
  Result<void> begin_exclusive(InodeState& state, std::uint64_t operation, Interrupt* interrupt);
  void end_exclusive(InodeState& state);

 private:
  enum class Goal { uploaded, committed };
  enum class Step { finished, failed, upload, commit, wait };
  struct Target {
    std::uint64_t serial = 0;  // everything in chunks up to it
    Goal goal = Goal::committed;
    CommitMode mode = CommitMode::plain;
    KeptError kept_error = KeptError::report;
    std::vector<ChunkPlacement> extra;
  };

  struct Next {
    Step step = Step::wait;
    std::vector<PendingChunkPtr> to_upload;
    std::optional<SteadyTime> wake_at;  // for a retry
    bool uploading = false;             // some upload of the target is on its way
  };

  // While it lives the background leaves the file to the thread that has it.
  class Attended {
   public:
    Attended(WriteBack& write_back, InodeState& state);
    ~Attended();
    Attended(const Attended&) = delete;
    Attended& operator=(const Attended&) = delete;

   private:
    WriteBack& write_back_;
    InodeState& state_;
  };

  // --- for a waiting caller (write_back.cc) ---
  Result<void> drive(const InodeStatePtr& state, Target target, Interrupt* interrupt);
  Next next_locked(InodeState& state, const Target& target) const;
  std::shared_ptr<StorageClient> upload_step(const InodeStatePtr& state,
                                             const std::vector<PendingChunkPtr>& chunks,
                                             std::uint64_t seen, Interrupt* interrupt);
  Result<void> commit_step(const InodeStatePtr& state, Target& target, Interrupt* interrupt);

  // --- fsync (file_sync.cc) ---
  struct SyncWork {
    std::vector<UnsyncedChunk> chunks;
    std::vector<PendingChunkPtr> pending;  // parallel to the first of `chunks`
    std::uint64_t lineage = 0;
    bool whole_history = false;
  };
  Result<SyncWork> gather(const InodeStatePtr& state, std::uint64_t serial, Interrupt* interrupt);
  // The placements to report; `again` if chunks went back to be uploaded elsewhere.
  Result<std::vector<ChunkPlacement>> sync_chunks(const InodeStatePtr& state, const SyncWork& work,
                                                  bool& again, Interrupt* interrupt);
  // `io` if the file uses one of these chunks, which no server has any more.
  Result<void> check_unused(const InodeStatePtr& state, const std::vector<ChunkId>& lost,
                            Interrupt* interrupt);
  void forget_synced(InodeState& state, const SyncWork& work, bool synced);

  // --- background (write_back_thread.cc) ---
  void run();
  void pass();
  std::vector<InodeStatePtr> dirty_states() const;
  void forget_clean();
  void settled(InodeState& state);

  const Parts parts_;
  Interrupt stop_;
  // When the oldest of what is not committed was written, as the background saw last.
  std::atomic<SteadyTime> oldest_unsent_{SteadyTime::max()};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool kicked_ = false;
  bool stopping_ = false;

  ChunkAllocator allocator_;
  Committer committer_;
  ChunkSyncer syncer_;
  Guarded<std::unordered_map<InodeId, InodeStatePtr>> dirty_;
  ChunkWriter writer_;  // its completions use what is above
  std::thread thread_;
};

}  // namespace dfs
