// While it lives this process gets no new descriptor, or at most `free` of
// them: the limit of open files is lowered to what is open now. One at a time, while no other thread opens
// or closes files.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs {

class NoFreeDescriptor {
 public:
  explicit NoFreeDescriptor(rlim_t free = 0) {
    invariant(::getrlimit(RLIMIT_NOFILE, &before_) == 0, "the limit can be read");
    rlimit lowered = before_;
    // The kernel gives the lowest number that is free.
    const UniqueFd lowest(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    invariant(static_cast<bool>(lowest), "a descriptor is free before");
    lowered.rlim_cur = static_cast<rlim_t>(lowest.get()) + free;
    invariant(::setrlimit(RLIMIT_NOFILE, &lowered) == 0, "a limit can be lowered");
  }
  ~NoFreeDescriptor() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoFreeDescriptor(const NoFreeDescriptor&) = delete;
  NoFreeDescriptor& operator=(const NoFreeDescriptor&) = delete;

 private:
  rlimit before_{};
};

}  // namespace dfs
