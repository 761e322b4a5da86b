// The way to one other member of a group: parts of chunks go out on one Put
// stream as they arrive here, answers come back chunk by chunk.
//
// A link that breaks, or makes no progress for a while, fails every chunk it
// still owes an answer for, so that nobody waits for a dead member; the next
// chunk connects again, unless that was tried a moment ago.
//
// Threads: any. Callbacks come once, from any thread, possibly from within
// send(), without locks; they must be short.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/rpc/storage_messages.h"
#include "common/rpc/stream_client.h"
#include "server/storage/received_bytes.h"

namespace dfs::storage {

// What a member answered for a chunk.
struct Forwarded {
  bool synced = false;
};
using ForwardDone = std::function<void(Result<Forwarded>)>;

struct ForwardOptions {
  std::chrono::milliseconds progress_timeout{8'000};
  std::chrono::milliseconds pause_min{100};  // between attempts to connect
  std::chrono::milliseconds pause_max{10'000};
};

class ForwardLink : public std::enable_shared_from_this<ForwardLink> {
 public:
  // `clock` must outlive the link.
  ForwardLink(ForwardTarget target, std::string cluster, const ForwardOptions& options,
              const Clock& clock);
  ~ForwardLink();

  // Announces a chunk whose parts follow. A chunk that is announced again
  // fails for whoever announced it before. Returns what forget() wants.
  using Ticket = std::uint64_t;
  Ticket begin(ChunkId chunk, ForwardDone done);
  // The answer is of no interest any more; `done` is not called.
  void forget(ChunkId chunk, Ticket ticket);
  // The part's greeting, forward targets and session are ignored. Parts of chunks that
  // were answered already are dropped.
  void send(PutPart part, std::shared_ptr<const ReceivedBytes> bytes);
  // From time to time: gives a connection up that makes no progress.
  void check_progress();
  // Fails what is outstanding; for the end of the server.
  void stop();

  const ForwardTarget& target() const { return target_; }
  std::size_t waiting_chunks() const;

 private:
  struct Item {
    PutPart part;
    std::shared_ptr<const ReceivedBytes> bytes;
  };
  // One stream; lives until it has ended, whatever becomes of the link.
  class Connection;

  struct Owed {
    Ticket ticket = 0;
    ForwardDone done;
    std::size_t unanswered = 0;  // parts: each is answered by `have`, or by the end of the chunk
  };

  void on_answer(Connection& from, const PutAnswer& answer);
  void on_end(Connection& from, const Error& why);
  bool next_message(Connection& from, grpc::ByteBuffer& message);
  void break_off(const Error& why);

  const ForwardTarget target_;
  const std::string cluster_;
  const ForwardOptions options_;
  const Clock& clock_;

  mutable std::mutex mutex_;
  std::unordered_map<ChunkId, Owed> waiting_;
  std::size_t unanswered_ = 0;  // parts of all chunks
  Ticket last_ticket_ = 0;
  std::deque<Item> queue_;
  std::shared_ptr<Connection> connection_;
  bool greeted_ = false;
  bool stopped_ = false;
  SteadyTime last_progress_{};  // an answer, or the first part with none before it
  SteadyTime not_before_{};  // of the next attempt to connect
  std::chrono::milliseconds pause_{0};
  bool in_trouble_ = false;  // logged
};

}  // namespace dfs::storage
