#include "common/rpc/local_reader.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace dfs {
namespace {

// Fills `into`; EINTR and short reads go on.
Result<void> fill(int file, std::uint64_t offset, MutableBuffer into, int flags) {
  while (!into.empty()) {
    const iovec part{into.data(), into.size()};
    const ssize_t got = ::preadv2(file, &part, 1, static_cast<off_t>(offset), flags);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return fail(Errc::again);
    if (got < 0) return fail_errno(errno, "read");
    if (got == 0) return fail(Errc::corrupt, "the file ends before the chunk does");
    offset += static_cast<std::uint64_t>(got);
    into = into.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

}  // namespace

LocalReader::LocalReader(const Options& options)
    : files_max_(options.files_max),
      threads_({.name = "local-read", .threads = options.threads, .queue_max = options.queue_max}) {}

Result<void> LocalReader::read(const Read& read, Wait wait) {
  const File file = TRY(open(read.place.path));
  const MutableBuffer into(read.into, read.place.length);
  TRY(fill(file->get(), read.place.offset, into, wait == Wait::no ? RWF_NOWAIT : 0));
  if (checksums_hold(into, read.checksums.data(), read.checksums.size())) return {};
  // Perhaps the name is another file's by now.
  forget(read.place.path);
  return fail(Errc::corrupt, read.place.path + " does not hold the chunk any more");
}

Result<void> LocalReader::run(std::function<void()> work) {
  if (threads_.submit(std::move(work))) return {};
  return fail(Errc::overloaded, "too many reads of local files wait for the disk");
}

Result<LocalReader::File> LocalReader::open(const std::string& path) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_path_.find(path); found != by_path_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return found->second->file;
    }
  }
  UniqueFd descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK));
  if (!descriptor) return fail_errno(errno, "open " + path);
  auto file = std::make_shared<const UniqueFd>(std::move(descriptor));
  const std::lock_guard lock(mutex_);
  if (by_path_.contains(path)) return file;
  recent_.push_front({path, file});
  by_path_.emplace(path, recent_.begin());
  if (recent_.size() > files_max_) {
    by_path_.erase(recent_.back().path);
    recent_.pop_back();
  }
  return file;
}

void LocalReader::forget(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return;
  recent_.erase(found->second);
  by_path_.erase(found);
}

std::size_t LocalReader::open_count() const {
  const std::lock_guard lock(mutex_);
  return recent_.size();
}

}  // namespace dfs
