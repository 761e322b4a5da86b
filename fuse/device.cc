#include "fuse/device.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/log.h"

namespace dfs::fuse {
namespace {

constexpr std::uint64_t kTokenFuse = 0;
constexpr std::uint64_t kTokenStop = 1;

}  // namespace

Result<Device> Device::attach(UniqueFd fuse) {
  const int flags = ::fcntl(fuse.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fuse.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return fail_errno(errno, "fcntl /dev/fuse");
  }
  UniqueFd poll(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll) return fail_errno(errno, "epoll_create1");
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return fail_errno(errno, "eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kTokenStop;
  if (::epoll_ctl(poll.get(), EPOLL_CTL_ADD, stop.get(), &event) != 0) {
    return fail_errno(errno, "epoll_ctl");
  }
  return Device(std::move(fuse), std::move(poll), std::move(stop));
}

Device::Device(UniqueFd fuse, UniqueFd poll, UniqueFd stop)
    : fuse_(std::move(fuse)), poll_(std::move(poll)), stop_(std::move(stop)) {}

Device::Read Device::read(MutableBuffer into) {
  for (;;) {
    const ssize_t bytes = ::read(fuse_.get(), into.data(), into.size());
    if (bytes > 0) return {Outcome::request, static_cast<std::size_t>(bytes)};
    if (bytes == 0) return {Outcome::nothing};
    switch (errno) {
      case ENOENT:  // the request was interrupted while it was being handed over
      case EINTR:
        continue;
      case EAGAIN:
        return {Outcome::nothing};
      case ENODEV:        // unmounted
      case ECONNABORTED:  // cut through /sys/fs/fuse/connections
        return {Outcome::gone};
      default:
        log_error("fuse", "reading /dev/fuse failed: {}", fail_errno(errno, "read").value().text);
        return {Outcome::gone};
    }
  }
}

// Removed and added again rather than modified: a FUSE wake-up carries no
// event mask, so epoll wakes its waiters even for a descriptor whose mask was
// set to nothing.
void Device::watch() {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLONESHOT;
  event.data.u64 = kTokenFuse;
  if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fuse_.get(), &event) == 0) return;
  // Watched already, or used up by an event that was delivered: arm it again.
  const bool armed =
      errno == EEXIST && ::epoll_ctl(poll_.get(), EPOLL_CTL_MOD, fuse_.get(), &event) == 0;
  invariant(armed || errno == ENOENT, "/dev/fuse can be watched");
  if (!armed) watch();  // removed between the two calls
}

void Device::unwatch() { ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, fuse_.get(), nullptr); }

Device::Wake Device::wait(std::chrono::milliseconds time_max) {
  epoll_event event{};
  const int count = ::epoll_wait(poll_.get(), &event, 1, static_cast<int>(time_max.count()));
  if (count <= 0) return Wake::time_passed;
  return event.data.u64 == kTokenStop ? Wake::stopped : Wake::request;
}

void Device::stop() {
  const std::uint64_t one = 1;
  // The counter can only be full when it has been stopped already.
  (void)!::write(stop_.get(), &one, sizeof one);
}

ssize_t Device::write(std::span<const iovec> parts) {
  return ::writev(fuse_.get(), parts.data(), static_cast<int>(parts.size()));
}

}  // namespace dfs::fuse
