// Carries messages between sessions and the server, one when it is told to:
// within a stream in order, between streams in any. Streams break: what is on
// its way to the client is lost, what is on its way to the server may still arrive,
// and each end notices at its own time.
//
// Threads: one, except that the server may answer from others.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "tests/sim/server.h"
#include "tests/sim/session.h"
#include "tests/sim/trace.h"

namespace dfs::sim {

class Network {
 public:
  // What may happen next.
  enum class Event { dial, send, arrive, answer, client_notices, server_notices };
  struct Choice {
    Event event;
    std::size_t stream;  // dial: of the session
  };

  // All must outlive it.
  Network(Server& server, Trace& trace) : server_(server), trace_(trace) {}
  ~Network();

  // A session that dials; it must outlive the network.
  void add(Session& session) { sessions_.push_back(&session); }

  std::vector<Choice> choices() const;
  void happen(const Choice& choice);
  std::size_t session_of(const Choice& choice) const {
    return choice.event == Event::dial ? choice.stream : streams_[choice.stream]->session;
  }
  // The session's stream breaks, if it has one.
  void cut(std::size_t session);
  // Nothing passes between the session and the server until thaw().
  void freeze(std::size_t session) { frozen_.at(session) = true; }
  void thaw(std::size_t session) { frozen_.at(session) = false; }
  bool is_frozen(std::size_t session) const { return frozen_.at(session); }
  void restart_server(Death death = Death::process);
  // The session is over and its client gone; it is not looked at any more.
  void leave(std::size_t session);

  std::size_t sessions() const { return sessions_.size(); }
  // Forgets streams that nobody knows any more.
  void tidy();

 private:
  class Peer;
  struct Stream {
    std::size_t session = 0;
    std::shared_ptr<Peer> peer;
    std::unique_ptr<StreamHandler> handler;  // null: the server has noticed its end
    std::deque<grpc::ByteBuffer> to_server;
    bool broken = false;       // nothing comes out of it at the client any more
    bool client_left = false;  // the client has noticed its end
  };

  void tell(const Choice& choice) const;
  void dial(std::size_t session);
  void arrive(Stream& stream);
  void answer(Stream& stream);
  void end_at_server(Stream& stream);
  void end_at_client(Stream& stream);

  Server& server_;
  Trace& trace_;
  std::vector<Session*> sessions_;  // null: has left
  std::deque<bool> frozen_ = std::deque<bool>(64, false);
  std::vector<std::unique_ptr<Stream>> streams_;
};

}  // namespace dfs::sim
