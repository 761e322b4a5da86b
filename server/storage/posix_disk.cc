#include "server/storage/posix_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "common/base/unique_fd.h"

namespace dfs::storage {
namespace {

// Pieces of one pwritev; a 1 MiB frame arrives in far fewer.
constexpr std::size_t kPiecesPerCall = 64;
static_assert(kPiecesPerCall <= IOV_MAX);

class PosixFile final : public DiskFile {
 public:
  PosixFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<void> write(std::uint64_t offset, std::span<const BufferView> pieces) override {
    std::size_t skip = 0;  // bytes of the first piece that are written already
    while (!pieces.empty()) {
      std::array<iovec, kPiecesPerCall> vectors;
      const std::size_t count = std::min(pieces.size(), vectors.size());
      for (std::size_t i = 0; i < count; ++i) {
        const BufferView piece = i == 0 ? pieces[0].subspan(skip) : pieces[i];
        vectors[i] = {const_cast<std::byte*>(piece.data()), piece.size()};
      }
      const ssize_t written = ::pwritev(fd_.get(), vectors.data(), static_cast<int>(count),
                                        static_cast<off_t>(offset));
      if (written < 0) {
        if (errno == EINTR) continue;
        return fail_errno(errno, "write " + path_);
      }
      offset += static_cast<std::uint64_t>(written);
      skip += static_cast<std::size_t>(written);
      while (!pieces.empty() && skip >= pieces.front().size()) {
        skip -= pieces.front().size();
        pieces = pieces.subspan(1);
      }
    }
    return {};
  }

  Result<std::size_t> read(std::uint64_t offset, MutableBuffer into) const override {
    std::size_t filled = 0;
    while (filled < into.size()) {
      const ssize_t got = ::pread(fd_.get(), into.data() + filled, into.size() - filled,
                                  static_cast<off_t>(offset + filled));
      if (got < 0) {
        if (errno == EINTR) continue;
        return fail_errno(errno, "read " + path_);
      }
      if (got == 0) break;
      filled += static_cast<std::size_t>(got);
    }
    return filled;
  }

  Result<std::size_t> read_cached(std::uint64_t offset, MutableBuffer into) const override {
    const iovec vector{into.data(), into.size()};
    const ssize_t got =
        ::preadv2(fd_.get(), &vector, 1, static_cast<off_t>(offset), RWF_NOWAIT);
    if (got >= 0 && static_cast<std::size_t>(got) == into.size()) return into.size();
    // Partly cached, at the end of the file, or a file system without the flag.
    return fail(Errc::again);
  }

  Result<void> sync() override {
    if (::fdatasync(fd_.get()) != 0) return fail_errno(errno, "fdatasync " + path_);
    return {};
  }

  void start_writeback(std::uint64_t offset, std::uint64_t length) override {
    ::sync_file_range(fd_.get(), static_cast<off64_t>(offset), static_cast<off64_t>(length),
                      SYNC_FILE_RANGE_WRITE);
  }

  void will_read(std::uint64_t offset, std::uint64_t length) const override {
    ::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(length),
                    POSIX_FADV_WILLNEED);
  }

  Result<void> punch(std::uint64_t offset, std::uint64_t length) override {
    if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(offset), static_cast<off_t>(length)) == 0)
      return {};
    if (errno == EOPNOTSUPP) return overwrite_with_zeros(offset, length);
    return fail_errno(errno, "punch a hole in " + path_);
  }

  Result<void> truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0)
      return fail_errno(errno, "truncate " + path_);
    return {};
  }

  Result<std::uint64_t> size() const override {
    struct stat status;
    if (::fstat(fd_.get(), &status) != 0) return fail_errno(errno, "stat " + path_);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<std::uint64_t> next_data(std::uint64_t offset) const override {
    const off_t found = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (found >= 0) return static_cast<std::uint64_t>(found);
    if (errno == ENXIO) return size();
    return offset;  // cannot tell holes from data: then all of it is data
  }

 private:
  // Where holes cannot be punched the space stays taken until the file goes,
  // but what was there must not be found again.
  Result<void> overwrite_with_zeros(std::uint64_t offset, std::uint64_t length) {
    static const std::array<std::byte, 64 * 1024> zeros{};
    const std::uint64_t file_end = TRY(size());
    const std::uint64_t end = std::min(offset + length, file_end);
    while (offset < end) {
      const BufferView piece = BufferView(zeros).first(std::min<std::uint64_t>(zeros.size(), end - offset));
      TRY(write(offset, {&piece, 1}));
      offset += piece.size();
    }
    return {};
  }

  const UniqueFd fd_;
  const std::string path_;
};

Result<std::shared_ptr<DiskFile>> open_file(const std::filesystem::path& path, int flags,
                                            const char* what) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0640));
  if (!fd) return fail_errno(errno, what + path.string());
  return std::make_shared<PosixFile>(std::move(fd), path.string());
}

}  // namespace

Result<std::shared_ptr<DiskFile>> PosixDisk::open(const std::filesystem::path& path) {
  return open_file(path, 0, "open ");
}

Result<std::shared_ptr<DiskFile>> PosixDisk::create(const std::filesystem::path& path) {
  return open_file(path, O_CREAT | O_EXCL, "create ");
}

Result<void> PosixDisk::remove(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0) return fail_errno(errno, "remove " + path.string());
  return {};
}

Result<void> PosixDisk::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return fail_errno(errno, "rename " + from.string() + " to " + to.string());
  return {};
}

Result<void> PosixDisk::make_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail_errno(error.value(), "create directory " + path.string());
  return {};
}

Result<std::vector<std::string>> PosixDisk::list(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory, error);
  while (!error && entry != std::filesystem::directory_iterator()) {
    names.push_back(entry->path().filename().string());
    entry.increment(error);
  }
  if (error) return fail_errno(error.value(), "list " + directory.string());
  return names;
}

Result<void> PosixDisk::sync_directory(const std::filesystem::path& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open " + directory.string());
  if (::fsync(fd.get()) != 0) return fail_errno(errno, "fsync " + directory.string());
  return {};
}

Result<DiskSpace> PosixDisk::space(const std::filesystem::path& directory) {
  struct statvfs status;
  if (::statvfs(directory.c_str(), &status) != 0)
    return fail_errno(errno, "statvfs " + directory.string());
  return DiskSpace{.total = std::uint64_t{status.f_blocks} * status.f_frsize,
                   .available = std::uint64_t{status.f_bavail} * status.f_frsize};
}

}  // namespace dfs::storage
