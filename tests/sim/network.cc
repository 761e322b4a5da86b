#include "tests/sim/network.h"

#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "tests/sim/frame_text.h"

namespace dfs::sim {
namespace {

// What one end has sent and the other has not read; enough for anything to overtake.
constexpr std::size_t kFramesUnderWay = 4;

}  // namespace

// The server's end of a stream, and what it has sent.
class Network::Peer final : public StreamPeer {
 public:
  bool send(grpc::ByteBuffer message) override {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    to_client_.push_back(std::move(message));
    return true;
  }
  void close(const Error&) override {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  void resume() override {
    const std::lock_guard lock(mutex_);
    resumed_ = true;
  }
  std::size_t queued_bytes() const override { return 0; }
  const std::string& peer_address() const override { return address_; }

  // It is read from while `read` says go on, or once it says so later.
  template <typename Read>
  void read(Read&& read) {
    set_resumed(false);
    if (read() == Reading::go_on) set_resumed(true);
  }
  bool reads() const {
    const std::lock_guard lock(mutex_);
    return resumed_ && !closed_;
  }
  bool has_something() const {
    const std::lock_guard lock(mutex_);
    return closed_ || !to_client_.empty();
  }
  bool is_closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  // Empty: the end.
  std::optional<grpc::ByteBuffer> peek() const {
    const std::lock_guard lock(mutex_);
    if (to_client_.empty()) return std::nullopt;
    return to_client_.front();
  }
  std::optional<grpc::ByteBuffer> next() {
    const std::lock_guard lock(mutex_);
    if (to_client_.empty()) return std::nullopt;
    grpc::ByteBuffer message = std::move(to_client_.front());
    to_client_.pop_front();
    return message;
  }

 private:
  void set_resumed(bool resumed) {
    const std::lock_guard lock(mutex_);
    resumed_ = resumed;
  }

  const std::string address_ = "simulated";
  mutable std::mutex mutex_;
  std::deque<grpc::ByteBuffer> to_client_;
  bool resumed_ = true;
  bool closed_ = false;
};

Network::~Network() {
  for (const auto& stream : streams_) end_at_server(*stream);
}

// --- what may happen -----------------------------------------------------------------

std::vector<Network::Choice> Network::choices() const {
  std::vector<Choice> all;
  for (std::size_t session = 0; session < sessions_.size(); ++session)
    if (sessions_[session] != nullptr && !frozen_[session] && sessions_[session]->is_down()) all.push_back({Event::dial, session});
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    const Stream& stream = *streams_[i];
    const bool is_frozen = frozen_[stream.session];
    const bool stands = !stream.client_left && !stream.broken;
    if (stands && !is_frozen && stream.to_server.size() < kFramesUnderWay && sessions_[stream.session]->has_message())
      all.push_back({Event::send, i});
    if (stream.handler != nullptr && !is_frozen && !stream.to_server.empty() && stream.peer->reads())
      all.push_back({Event::arrive, i});
    if (stands && !is_frozen && stream.peer->has_something()) all.push_back({Event::answer, i});
    if (stream.broken && !stream.client_left) all.push_back({Event::client_notices, i});
    const bool is_over = stream.broken || stream.client_left || stream.peer->is_closed();
    if (is_over && stream.handler != nullptr) all.push_back({Event::server_notices, i});
  }
  return all;
}

void Network::tell(const Choice& choice) const {
  const std::string who = fmt::format("    mount {}", session_of(choice) + 1);
  switch (choice.event) {
    case Event::dial:
      return trace_.add(who + " dials");
    case Event::send:
      return;
    case Event::arrive:
      return trace_.add([who, frame = streams_[choice.stream]->to_server.front()] {
        return fmt::format("{} -> {}", who, text_of_client_frame(frame));
      });
    case Event::answer:
      return trace_.add([who, frame = streams_[choice.stream]->peer->peek()] {
        return fmt::format("{} <- {}", who, frame ? text_of_server_frame(*frame) : "the end");
      });
    case Event::client_notices:
      return trace_.add(who + " notices that its stream is broken");
    case Event::server_notices:
      return trace_.add(who + " is gone, as the server notices");
  }
}

void Network::happen(const Choice& choice) {
  tell(choice);
  if (choice.event == Event::dial) return dial(choice.stream);
  Stream& stream = *streams_[choice.stream];
  switch (choice.event) {
    case Event::dial:
      return;
    case Event::send: {
      grpc::ByteBuffer frame;
      if (sessions_[stream.session]->next_message(frame)) stream.to_server.push_back(std::move(frame));
      // Whatever did not fit comes next.
      return;
    }
    case Event::arrive:
      return arrive(stream);
    case Event::answer:
      return answer(stream);
    case Event::client_notices:
      return end_at_client(stream);
    case Event::server_notices:
      return end_at_server(stream);
  }
}

void Network::dial(std::size_t session) {
  auto stream = std::make_unique<Stream>();
  stream->session = session;
  stream->peer = std::make_shared<Peer>();
  stream->handler = server_.open(stream->peer);
  stream->to_server.push_back(sessions_[session]->dial());
  streams_.push_back(std::move(stream));
}

void Network::arrive(Stream& stream) {
  grpc::ByteBuffer frame = std::move(stream.to_server.front());
  stream.to_server.pop_front();
  stream.peer->read([&] { return stream.handler->on_message(std::move(frame)); });
}

void Network::answer(Stream& stream) {
  const std::optional<grpc::ByteBuffer> message = stream.peer->next();
  if (!message || !sessions_[stream.session]->take(*message)) end_at_client(stream);
}

void Network::end_at_client(Stream& stream) {
  stream.client_left = true;
  sessions_[stream.session]->lost();
}

void Network::end_at_server(Stream& stream) {
  if (stream.handler == nullptr) return;
  stream.to_server.clear();
  stream.peer->close({Errc::unavailable, "the stream is over"});
  stream.handler->on_end();
  stream.handler.reset();
}

// --- what goes wrong -------------------------------------------------------------------

void Network::cut(std::size_t session) {
  for (const auto& stream : streams_)
    if (stream->session == session && !stream->client_left) stream->broken = true;
}

void Network::restart_server(Death death) {
  for (const auto& stream : streams_) end_at_server(*stream);
  server_.restart(death);
}

void Network::leave(std::size_t session) {
  for (const auto& stream : streams_)
    if (stream->session == session) stream->client_left = true;
  sessions_[session] = nullptr;
}

void Network::tidy() {
  std::erase_if(streams_, [](const auto& stream) { return stream->client_left && stream->handler == nullptr; });
}

}  // namespace dfs::sim
