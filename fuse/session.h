// One mounted file system: the connection to the kernel, the threads that
// serve it, the file system behind it.
//
//   auto point = TRY(MountPoint::mount(...));
//   auto session = TRY(Session::create(config, point.take_device(), files, clock));
//   session->start();
//   session->wait();      // until it is unmounted
//
// Threads: any, except that start() comes first and wait() from one.
#pragma once

#include <memory>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/client/file_system.h"
#include "fuse/adoption/mount_memory.h"
#include "fuse/notifier.h"
#include "fuse/session_config.h"

namespace dfs::fuse {

class Session {
 public:
  // `device` is the open /dev/fuse of a mount. `files`, `clock` and `memory` must
  // outlive the session. If `memory` has a former process, the session goes on where
  // that was: what it had open is open again, and start() has the kernel ask again
  // what it did not come to answer.
  static Result<std::unique_ptr<Session>> create(const SessionConfig& config, UniqueFd device,
                                                 FileSystem& files, const Clock& clock,
                                                 MountMemory& memory);
  // Waits for the requests in work; closes what the kernel still holds open.
  virtual ~Session() = default;

  virtual void start() = 0;
  // Until the file system is unmounted or stop() is called, and no request is
  // in work any more.
  virtual void wait() = 0;
  // Serves no more requests. Does not unmount: programs then wait for answers
  // until the connection closes with this object. Returns at once.
  virtual void stop() = 0;
  // Ends the waits of all requests in work, and of those to come.
  virtual void interrupt_all() = 0;

  virtual Notifier& notifier() = 0;

  // For tests and for people.
  struct Facts {
    std::uint64_t agreed_flags = 0;  // FUSE_* of INIT; 0 before the kernel said hello
    std::uint32_t kernel_minor = 0;
    bool can_resend = false;         // another process could go on in place of this one
    std::size_t threads = 0;
    std::size_t busy = 0;
  };
  virtual Facts facts() const = 0;
};

}  // namespace dfs::fuse
