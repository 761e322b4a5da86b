#include "fuse/cli/local/mount_point.h"

#include <spawn.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace dfs::cli {

namespace {

// mountinfo writes space, tab, line feed and backslash as \ooo.
std::string unescaped(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\' || at + 3 >= text.size()) {
      out += text[at];
      continue;
    }
    out += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 +
                             (text[at + 3] - '0'));
    at += 3;
  }
  return out;
}

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

std::optional<MountedHere> mounted_at(const std::filesystem::path& place) {
  const std::string wanted = place.lexically_normal().string();
  std::ifstream table("/proc/self/mountinfo");
  std::optional<MountedHere> found;
  for (std::string line; std::getline(table, line);) {
    // "36 35 98:0 /root /mount/point options [tags...] - type source super-options"
    std::istringstream fields(line);
    std::string skipped;
    std::string point;
    fields >> skipped >> skipped >> skipped >> skipped >> point;
    if (unescaped(point) != wanted) continue;
    const std::size_t separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    std::istringstream rest(line.substr(separator + 3));
    MountedHere here;
    rest >> here.type >> here.source;
    found = std::move(here);
  }
  return found;
}

Result<void> detach_dead_mount(const std::filesystem::path& place) {
  while (const auto here = mounted_at(place)) {
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
