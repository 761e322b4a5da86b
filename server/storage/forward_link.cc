#include "server/storage/forward_link.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "common/base/log.h"
#include "common/rpc/channels.h"
#include "common/rpc/completion_loop.h"
#include "common/rpc/protocol.h"

namespace dfs::storage {

class ForwardLink::Connection final : public StreamUser {
 public:
  explicit Connection(std::weak_ptr<ForwardLink> link) : link_(std::move(link)) {}

  static std::shared_ptr<Connection> open(const std::shared_ptr<ForwardLink>& link) {
    const ForwardTarget& target = link->target_;
    auto connection = std::make_shared<Connection>(link);
    connection->self_ = connection;
    auto channel = make_channel(dial_target(target.address, target.machine, target.local_socket));
    connection->stream_ = StreamClient::open(CompletionLoop::shared(), std::move(channel),
                                             "/dfs.v1.StorageService/Put", *connection);
    return connection;
  }
  void poke() { stream_->poke(); }
  void cancel() { stream_->cancel(); }
  bool ended() const { return ended_; }

  bool next_message(grpc::ByteBuffer& message) override {
    const auto link = link_.lock();
    return link && link->next_message(*this, message);
  }
  void on_message(grpc::ByteBuffer message) override {
    const auto link = link_.lock();
    if (!link) return;
    const auto answer = decode_put_answer(message);
    if (answer) return link->on_answer(*this, *answer);
    link->on_end(*this, answer.error());
    stream_->cancel();
  }
  void on_end(Error why) override {
    ended_ = true;
    if (const auto link = link_.lock()) link->on_end(*this, why);
    const auto self = std::move(self_);  // nothing follows
  }

 private:
  const std::weak_ptr<ForwardLink> link_;
  std::shared_ptr<StreamClient> stream_;
  std::shared_ptr<Connection> self_;
  std::atomic<bool> ended_{false};
};

ForwardLink::ForwardLink(ForwardTarget target, std::string cluster, const ForwardOptions& options,
                         const Clock& clock)
    : target_(std::move(target)), cluster_(std::move(cluster)), options_(options), clock_(clock) {}

ForwardLink::~ForwardLink() { stop(); }

ForwardLink::Ticket ForwardLink::begin(ChunkId chunk, ForwardDone done) {
  ForwardDone replaced;
  Ticket ticket = 0;
  {
    const std::lock_guard lock(mutex_);
    const SteadyTime now = clock_.now();
    const bool refused = stopped_ || (!connection_ && now < not_before_);
    if (!refused) {
      Owed& owed = waiting_[chunk];
      unanswered_ -= std::exchange(owed.unanswered, 0);
      ticket = owed.ticket = ++last_ticket_;
      replaced = std::exchange(owed.done, std::move(done));
      done = nullptr;
    }
  }
  const std::string who = fmt::format("server {} ({})", target_.server.value(), target_.address);
  if (done) done(fail(Errc::unavailable, who + " could not be reached a moment ago"));
  if (replaced) replaced(fail(Errc::unavailable, "the chunk was sent once more"));
  return ticket;
}

void ForwardLink::forget(ChunkId chunk, Ticket ticket) {
  ForwardDone forgotten;  // freed outside the lock
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(chunk);
  if (found == waiting_.end() || found->second.ticket != ticket) return;
  unanswered_ -= found->second.unanswered;
  forgotten = std::move(found->second.done);
  waiting_.erase(found);
}

void ForwardLink::send(PutPart part, std::shared_ptr<const ReceivedBytes> bytes) {
  std::shared_ptr<Connection> connection;
  bool connect = false;
  {
    const std::lock_guard lock(mutex_);
    const auto owed = waiting_.find(part.chunk);
    if (owed == waiting_.end()) return;
    ++owed->second.unanswered;
    if (unanswered_++ == 0) last_progress_ = clock_.now();
    part.greeting.reset();
    part.forward.clear();
    part.session = SessionId{};
    queue_.push_back({std::move(part), std::move(bytes)});
    connect = connection_ == nullptr;
    connection = connection_;
  }
  if (connect) {
    // Looking the address up takes no lock: two may connect, one is kept.
    auto fresh = Connection::open(shared_from_this());
    {
      const std::lock_guard lock(mutex_);
      if (connection_ == nullptr && !stopped_) {
        connection_ = fresh;
        greeted_ = false;
      }
      connection = connection_;
    }
    if (connection != fresh) fresh->cancel();
    // Its end was not for us to hear before it was ours.
    if (connection == fresh && fresh->ended())
      return break_off({Errc::unavailable, target_.address + " cannot be reached"});
  }
  if (connection) connection->poke();
}

bool ForwardLink::next_message(Connection& from, grpc::ByteBuffer& message) {
  Item item;
  {
    const std::lock_guard lock(mutex_);
    if (connection_.get() != &from || queue_.empty()) return false;
    item = std::move(queue_.front());
    queue_.pop_front();
    if (!std::exchange(greeted_, true))
      item.part.greeting = StreamGreeting{cluster_, kProtocolVersion};
  }
  if (item.bytes) {
    message = encode(item.part, item.bytes->parts(), item.bytes);
  } else {
    message = encode(item.part);
  }
  return true;
}

void ForwardLink::on_answer(Connection& from, const PutAnswer& answer) {
  ForwardDone done;
  {
    const std::lock_guard lock(mutex_);
    if (connection_.get() != &from) return;
    last_progress_ = clock_.now();
    pause_ = std::chrono::milliseconds{0};
    if (std::exchange(in_trouble_, false))
      log_info("storage", "server {} at {} takes chunks again", target_.server.value(),
               target_.address);
    const auto found = waiting_.find(answer.chunk);
    if (found == waiting_.end()) return;
    Owed& owed = found->second;
    const bool over = answer.done || answer.error.has_value();
    const std::size_t answered = over ? owed.unanswered : std::min<std::size_t>(owed.unanswered, 1);
    owed.unanswered -= answered;
    unanswered_ -= answered;
    if (!over) return;
    done = std::move(owed.done);
    waiting_.erase(found);
  }
  if (answer.error) return done(fail(*answer.error));
  const auto& stored = answer.outcome.stored_on;
  if (std::find(stored.begin(), stored.end(), target_.server) == stored.end())
    return done(fail(Errc::wrong_cluster,
                     fmt::format("another server answered at {}", target_.address)));
  const auto& synced = answer.outcome.synced_on;
  done(Forwarded{.synced = std::find(synced.begin(), synced.end(), target_.server) != synced.end()});
}

void ForwardLink::on_end(Connection& from, const Error& why) {
  {
    const std::lock_guard lock(mutex_);
    if (connection_.get() != &from) return;
  }
  break_off(why);
}

void ForwardLink::break_off(const Error& why) {
  std::unordered_map<ChunkId, Owed> failed;
  std::deque<Item> dropped;
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex_);
    failed.swap(waiting_);
    dropped.swap(queue_);
    connection = std::exchange(connection_, nullptr);
    unanswered_ = 0;
    if (!failed.empty()) {  // an idle connection may end without meaning anything
      pause_ = std::clamp(pause_ * 2, options_.pause_min, options_.pause_max);
      not_before_ = clock_.now() + pause_;
    }
    if (!failed.empty() && !std::exchange(in_trouble_, true))
      log_warn("storage", "server {} at {} takes no chunks: {}", target_.server.value(),
               target_.address, why.to_string());
  }
  if (connection) connection->cancel();
  for (auto& [chunk, owed] : failed) owed.done(fail(why));
}

void ForwardLink::check_progress() {
  {
    const std::lock_guard lock(mutex_);
    if (unanswered_ == 0 || clock_.now() - last_progress_ < options_.progress_timeout) return;
  }
  break_off({Errc::timed_out, fmt::format("server {} at {} makes no progress",
                                          target_.server.value(), target_.address)});
}

void ForwardLink::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
  }
  break_off({Errc::unavailable, "the server stops"});
}

std::size_t ForwardLink::waiting_chunks() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

}  // namespace dfs::storage
