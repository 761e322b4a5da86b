// Accepts a server's connections in place of gRPC, whose own listener ends for
// good the first time there is no descriptor for a connection.
//
// Connections get all descriptors but those that files need: at most half of
// the limit, at most kDescriptorsKept, are never taken for them. One more is
// closed at once; whoever called tries again, and who is connected is served.
// When there is no descriptor at all, callers wait in the kernel's queue. The
// log says when it begins, with what to do, and when it is over.
//
// Threads: one of its own, which sleeps until somebody calls.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/address.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs {

class Acceptor {
 public:
  static constexpr std::size_t kDescriptorsKept = 1024;

  // Takes over a new connection; from the acceptor's thread.
  using Taker = std::function<void(UniqueFd connection)>;

  Acceptor() = default;
  ~Acceptor();  // stop()
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Listens on an address, of which the host may be a name; returns the port.
  //   busy     the port is in use
  //   invalid  no such host
  // Before start(), as the next.
  Result<int> listen(const Address& address);
  // Listens on a unix socket that anybody on this machine may use; the file
  // goes with the acceptor. There must be none yet.
  Result<void> listen(const std::filesystem::path& socket);

  // Begins to accept.
  Result<void> start(Taker take);
  // No connection comes any more when it returns. Idempotent.
  void stop();

 private:
  enum class Accepted { one, none, no_descriptor };

  void run();
  Accepted accept_from(int listener);
  void tell(bool is_short, const char* what);

  std::vector<UniqueFd> listeners_;
  std::filesystem::path socket_;
  UniqueFd stop_;  // an eventfd
  Taker take_;
  // Of the thread: what the log was told, and when.
  bool is_short_ = false;
  std::chrono::steady_clock::time_point told_{};
  std::thread thread_;
};

}  // namespace dfs
