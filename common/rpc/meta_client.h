// The metadata server, as a client sees it: a typed seam.
//
// MetaSession (meta_session.h) is the real one over gRPC; tests use a double
// (tests/support). All calls are safe to repeat: after a lost connection the
// session repeats what was not answered, and the server answers a repeat of a
// mutation with the stored response.
//
// Threads: any. Calls block until answered, interrupted, or (for soft mounts)
// until the session's time limit has passed.
#pragma once

#include <functional>

#include "common/base/result.h"
#include "common/rpc/interrupt.h"
#include "common/rpc/meta_api.h"

namespace dfs {

class MetaClient {
 public:
  virtual ~MetaClient() = default;

  // Errors besides the operation's own:
  //   interrupted  `interrupt` fired; the operation may still happen
  //   timed_out    soft limit passed without an answer
  //   session_lost the session ended for good
  virtual Result<MetaResult> call(MetaArgs args, const Caller& caller, Interrupt* interrupt) = 0;

  // call() for a mutation whose outcome the caller must learn even when it
  // stops waiting: if and only if this returns `interrupted`, `late` gets the
  // answer once it is there, from a thread of the session (so it must be
  // short). A client that cannot do that does not let itself be interrupted.
  virtual Result<MetaResult> call_through(MetaArgs args, const Caller& caller,
                                          Interrupt* interrupt,
                                          std::function<void(Result<MetaResult>)> late) {
    static_cast<void>(interrupt);
    static_cast<void>(late);
    return call(std::move(args), caller, nullptr);
  }

  // Sends without waiting. `done` gets the answer, once, from a thread of the
  // session (so it must be short), perhaps before this returns. For what may
  // take as long as it likes, such as waiting for a lock. On an error `done` is
  // not called: `no_memory` (too many answers are to come), or why the session
  // has ended.
  virtual Result<void> call_later(MetaArgs args, const Caller& caller,
                                  std::function<void(Result<MetaResult>)> done) = 0;

  // Sends without waiting; errors are logged and forgotten. For releases,
  // reports, keep-alives.
  virtual void post(MetaArgs args) = 0;

  // The newest group table known.
  virtual GroupTablePtr group_table() const = 0;
  virtual std::uint32_t default_chunk_size() const = 0;
  virtual SessionId session() const = 0;
};

// call() for an operation whose result type is known.
template <typename R, typename Args>
Result<R> call_for(MetaClient& client, Args args, const Caller& caller, Interrupt* interrupt) {
  MetaResult result = TRY(client.call(MetaArgs(std::move(args)), caller, interrupt));
  R* value = std::get_if<R>(&result);
  if (value == nullptr) return fail(Errc::bad_message, "the metadata server answered another question");
  return std::move(*value);
}

}  // namespace dfs
