#include "server/meta/data_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

namespace dfs {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarker = "dfs-meta";
constexpr std::string_view kMarkerText = "This directory belongs to a dfs metadata server.\n";
constexpr const char* kStore = "db";
constexpr const char* kUnfinishedStore = "db.unfinished";
constexpr std::string_view kLockFile = "LOCK";
constexpr std::string_view kLostAndFound = "lost+found";  // of a file system's own root

tl::unexpected<Error> fail_path(const fs::path& path, const std::error_code& error) {
  return fail_errno(error.value(), path.string());
}

// Whether `path` has nothing in it that we or the file system did not put there.
Result<bool> is_unused(const fs::path& path, std::string_view left_over = {}) {
  std::error_code error;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name != kLockFile && name != kLostAndFound && name != left_over) return false;
  }
  if (error) return fail_path(path, error);
  return true;
}

Result<void> write_marker(const fs::path& directory) {
  const fs::path path = directory / kMarker;
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) return fail_errno(errno, path.string());
  const ssize_t written = ::write(file.get(), kMarkerText.data(), kMarkerText.size());
  if (written != static_cast<ssize_t>(kMarkerText.size()))
    return fail_errno(written < 0 ? errno : ENOSPC, path.string());
  const UniqueFd parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (::fsync(file.get()) != 0 || !parent || ::fsync(parent.get()) != 0)
    return fail_errno(errno, path.string());
  return {};
}

}  // namespace

Result<DataDirectory> DataDirectory::open(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail_path(path, error);
  // Looked at before the lock file is made, so that a stranger's directory
  // stays as it was.
  const bool marked = fs::exists(path / kMarker, error);
  if (error) return fail_path(path, error);
  if (!marked) {
    const bool unused = TRY(is_unused(path));
    if (!unused)
      return fail(Errc::invalid,
                  fmt::format("{} holds other files and is not the data directory of a metadata "
                              "server; give an empty or a new one",
                              path.string()));
  }
  DirectoryLock lock = TRY(DirectoryLock::acquire(path));
  if (!marked) TRY(write_marker(path));
  return DataDirectory(path, std::move(lock));
}

fs::path DataDirectory::store() const { return path_ / kStore; }

Result<DataDirectory> DataDirectory::open_existing(const fs::path& path) {
  std::error_code error;
  const bool marked = fs::exists(path / kMarker, error);
  if (error) return fail_path(path, error);
  if (!marked)
    return fail(Errc::not_found,
                fmt::format("{} is not the data directory of a metadata server", path.string()));
  DataDirectory directory = TRY(open(path));
  if (directory.is_new())
    return fail(Errc::not_found, fmt::format("nothing has been stored in {} yet", path.string()));
  return directory;
}

bool DataDirectory::is_new() const {
  std::error_code error;
  return !fs::exists(store(), error) && !error;
}

Result<NewDataDirectory> NewDataDirectory::begin(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail_path(path, error);
  const bool unused = TRY(is_unused(path, kUnfinishedStore));
  if (!unused)
    return fail(Errc::not_empty, fmt::format("{} has something in it; give an empty or a new "
                                             "directory",
                                             path.string()));
  DirectoryLock lock = TRY(DirectoryLock::acquire(path));
  NewDataDirectory directory(path, std::move(lock));
  fs::remove_all(directory.store(), error);
  if (error) return fail_path(directory.store(), error);
  return directory;
}

fs::path NewDataDirectory::store() const { return path_ / kUnfinishedStore; }

// The marker last: a start takes a directory that has only that for a new cluster's.
Result<void> NewDataDirectory::finish() {
  std::error_code error;
  fs::rename(store(), path_ / kStore, error);
  if (error) return fail_path(store(), error);
  return write_marker(path_);
}

}  // namespace dfs
