#include "common/base/process.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fstream>
#include <string_view>

#include "common/base/unique_fd.h"

namespace dfs {

void tune_malloc() {
  // 32 MiB is the largest threshold glibc takes on 64-bit machines: a heap of
  // a thread's arena is 64 MiB and a block may be half of it.
  constexpr int kMmapThreshold = 32 << 20;
  constexpr int kTopPad = 4 << 20;  // grow the heap in steps of this, not of 128 KiB
  ::mallopt(M_MMAP_THRESHOLD, kMmapThreshold);
  ::mallopt(M_TRIM_THRESHOLD, kMallocKeptBytes);
  ::mallopt(M_TOP_PAD, kTopPad);
  ::mallopt(M_ARENA_MAX, kMallocArenas);
}

std::string machine_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

std::string version() { return DFS_VERSION; }

Result<void> announce_ready(int fd) {
  if (fd < 0) return {};
  const UniqueFd closed_on_return(fd);
  std::string_view rest = "ready\n";
  while (!rest.empty()) {
    const ssize_t written = ::write(fd, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, "telling that we are ready on descriptor " + std::to_string(fd));
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno(errno, "reading the descriptor limit");
  if (limit.rlim_cur == limit.rlim_max) return {};
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno(errno, "raising the descriptor limit");
  return {};
}

}  // namespace dfs
