// Uploads chunks: names them, sends them to a live member of their group,
// and goes elsewhere when that fails.
//
//   one member silent       another one goes first
//   forward targets failed  the chunk is placed with what they lack, if enough
//                           copies exist; else another group is tried
//   nobody answers          again after a pause that grows
//   session_lost            again under the session that takes the place of the
//                           one that has ended; until there is one, after a pause
//   no_space everywhere, not_permitted, ...   given up: the inode keeps the
//                           error, the bytes are forgotten
//
// Enough copies: all members but one, and at least one; fewer when no better
// group exists.
//
// Threads: any. prepare() does not wait but for the allocation of an id;
// completions come from the storage connections' threads.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <condition_variable>

#include "common/base/clock.h"
#include "common/client/chunk_allocator.h"
#include "common/client/client_config.h"
#include "common/client/inode_state.h"
#include "common/client/server_health.h"
#include "common/rpc/meta_client.h"
#include "common/rpc/storage_client.h"

namespace dfs {

class ChunkWriter {
 public:
  // All references must outlive the writer.
  struct Parts {
    MetaClient& meta;
    StoragePool& storage;
    ChunkAllocator& allocator;
    ServerHealth& health;
    const Clock& clock;
    const ClientConfig& config;
  };
  // Called when a chunk has left `uploading`, without locks. It must not wait.
  using Settled = std::function<void(const InodeStatePtr&, const PendingChunkPtr&)>;

  ChunkWriter(const Parts& parts, Settled settled);
  // Waits for the uploads on their way.
  ~ChunkWriter();
  ChunkWriter(const ChunkWriter&) = delete;
  ChunkWriter& operator=(const ChunkWriter&) = delete;

  // An upload that can be sent.
  class Prepared;
  using PreparedPtr = std::shared_ptr<Prepared>;

  // Names `chunk`, whose phase the caller has moved from sealed to uploading,
  // and chooses where to send it. Null if it has left `uploading` already; an
  // interrupted allocation makes it sealed again.
  PreparedPtr prepare(const InodeStatePtr& state, const PendingChunkPtr& chunk,
                      Interrupt* interrupt);
  // The connection that send() will use.
  static std::shared_ptr<StorageClient> connection(const Prepared& prepared);
  // Sends it; does not wait.
  void send(const PreparedPtr& prepared);

  std::size_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }
  // True for a moment after the servers said that they are full: writing more is futile.
  bool full() const;
  void note_full();

 private:
  struct Attempt {
    InodeStatePtr state;
    PendingChunkPtr chunk;
    ServerId first;
    std::vector<ServerId> members;  // that should get it
    Epoch epoch;
    SessionId session;  // under which it is sent
    bool sync = false;
  };
  enum class Verdict { done, next_member, other_group, new_name, again, give_up };

  WallNanos next_time();
  Result<void> name(const InodeStatePtr& state, PendingChunk& chunk, Interrupt* interrupt);
  // False if the chunk has left `uploading` instead.
  bool ensure_name(const InodeStatePtr& state, const PendingChunkPtr& chunk, Interrupt* interrupt);
  void completed(const Attempt& attempt, Result<PutOutcome> outcome);
  Verdict judge(const Attempt& attempt, PutOutcome& outcome);
  Verdict judge(const Attempt& attempt, const Error& problem);
  void act(const Attempt& attempt, Verdict verdict, const Error& problem);

  void uploaded(const InodeStatePtr& state, const PendingChunkPtr& chunk);
  void again(const InodeStatePtr& state, const PendingChunkPtr& chunk,
             std::chrono::milliseconds pause);
  void give_up(const InodeStatePtr& state, const PendingChunkPtr& chunk, const Error& problem);
  // The next, longer pause; or nothing when a soft mount has waited long enough.
  std::optional<std::chrono::milliseconds> next_pause(UploadProgress& upload) const;
  void leave();

  const Parts parts_;
  const Settled settled_;
  std::atomic<std::size_t> in_flight_{0};
  std::atomic<WallNanos> last_time_{0};      // of next_time()
  std::atomic<std::int64_t> full_until_{0};  // nanoseconds of the steady clock
  std::mutex idle_mutex_;
  std::condition_variable idle_;
};

}  // namespace dfs
