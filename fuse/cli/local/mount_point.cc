#include "fuse/cli/local/mount_point.h"

#include <spawn.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include <fmt/format.h>

#include "fuse/mounts/mount_table.h"

namespace dfs::cli {

namespace {

// Who is not root may unmount his own FUSE mounts through this program only.
Result<void> detach_as_user(const std::filesystem::path& place) {
  std::string words[] = {"fusermount3", "-u", "-z", place.string()};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  pid_t pid = 0;
  if (const int error = ::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv, environ); error != 0)
    return fail_errno(error, "start fusermount3");
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return fail_errno(errno, "wait for fusermount3");
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail(Errc::not_permitted, fmt::format("fusermount3 -u {} failed", place.string()));
  return {};
}

}  // namespace

Result<void> detach_dead_mount(const std::filesystem::path& place) {
  while (const auto here = fuse::mounted_at(place.lexically_normal())) {
    if (!here->type.starts_with("fuse"))
      return fail(Errc::busy, fmt::format("a file system of type {} is mounted at {}", here->type,
                                          place.string()));
    // Asks the process that serves it; attributes the kernel may know by heart.
    struct statfs facts {};
    if (::statfs(place.c_str(), &facts) == 0)
      return fail(Errc::busy, fmt::format("{} is mounted and alive ({})", place.string(), here->source));
    if (errno != ENOTCONN && errno != ECONNABORTED)
      return fail_errno(errno, "look at " + place.string());
    if (::umount2(place.c_str(), MNT_DETACH) == 0) continue;
    if (errno != EPERM) return fail_errno(errno, "unmount " + place.string());
    TRY(detach_as_user(place));
  }
  return {};
}

}  // namespace dfs::cli
