#include "tests/model/side.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace dfs::model {

Result<Side> Side::open(Role role, std::filesystem::path directory) {
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, "mkdir " + directory.string());
  UniqueFd root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail_errno(errno, "open " + directory.string());
  return Side(role, std::move(directory), std::move(root));
}

std::optional<std::size_t> Side::open_slot(std::size_t wanted) const {
  for (std::size_t i = 0; i < kSlots; ++i) {
    const std::size_t at = (wanted + i) % kSlots;
    if (slots_[at]) return at;
  }
  return std::nullopt;
}

int Side::descriptor(std::size_t wanted) const {
  const auto at = open_slot(wanted);
  return at ? slot(*at) : -1;
}

Outcome answered(std::int64_t value) {
  Outcome outcome;
  outcome.value = value;
  if (value == -1) outcome.error = errno;
  return outcome;
}

Outcome complain(std::string complaint) {
  Outcome outcome;
  outcome.complaint = std::move(complaint);
  return outcome;
}

bool is_regular(int fd) {
  struct stat found {};
  return ::fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

Outcome read_fully(int fd, std::uint64_t offset, std::uint64_t length) {
  std::string bytes(length, '\0');
  std::size_t got = 0;
  while (got < length) {
    const ssize_t count = ::pread(fd, bytes.data() + got, length - got, static_cast<off_t>(offset + got));
    if (count < 0) return answered(-1);
    if (count == 0) break;
    got += static_cast<std::size_t>(count);
  }
  bytes.resize(got);
  Outcome outcome;
  outcome.value = static_cast<std::int64_t>(got);
  outcome.bytes = std::move(bytes);
  return outcome;
}

}  // namespace dfs::model
