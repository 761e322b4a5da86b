#include "fuse/cli/transfer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "common/base/random.h"
#include "common/base/unique_fd.h"

namespace dfs::cli {

namespace {

constexpr std::size_t kBufferBytes = 4 * MiB;
constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

// Not zeroed: every byte used has been read into it before.
class Buffer {
 public:
  Buffer() : bytes_(std::make_unique_for_overwrite<std::byte[]>(kBufferBytes)) {}
  MutableBuffer first(std::size_t count) { return {bytes_.get(), std::min(count, kBufferBytes)}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
};

struct Span {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

WallNanos nanos(const timespec& time) { return time.tv_sec * kNanosPerSecond + time.tv_nsec; }

timespec to_timespec(WallNanos time) {
  WallNanos seconds = time / kNanosPerSecond;
  WallNanos rest = time % kNanosPerSecond;
  if (rest < 0) {
    rest += kNanosPerSecond;
    --seconds;
  }
  return {.tv_sec = seconds, .tv_nsec = rest};
}

// The next run of data at or after `offset`; empty behind the last one.
Result<std::optional<Span>> next_data(int descriptor, std::uint64_t offset, std::uint64_t size) {
  if (offset >= size) return std::optional<Span>();
  const off_t begin = ::lseek(descriptor, static_cast<off_t>(offset), SEEK_DATA);
  if (begin < 0 && errno == ENXIO) return std::optional<Span>();
  if (begin < 0) return std::optional<Span>(Span{offset, size});  // cannot tell: all of it
  const off_t end = ::lseek(descriptor, begin, SEEK_HOLE);
  if (end < 0) return fail_errno(errno, "find the end of data");
  return std::optional<Span>(Span{static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(end)});
}

Result<void> write_all(int descriptor, BufferView data) {
  while (!data.empty()) {
    const ssize_t count = ::write(descriptor, data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "write");
    data = data.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

// Closes, whatever happened before.
class Opening {
 public:
  Opening(FileSystem& files, OpenFilePtr file) : files_(files), file_(std::move(file)) {}
  ~Opening() { files_.close(std::move(file_)); }
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;
  OpenFile& get() { return *file_; }

 private:
  FileSystem& files_;
  OpenFilePtr file_;
};

// Copies from a pipe or terminal until its end.
Result<void> put_stream(const Transfer& transfer, int source, OpenFile& file) {
  Buffer buffer;
  std::uint64_t offset = 0;
  for (;;) {
    const MutableBuffer room = buffer.first(kBufferBytes);
    const ssize_t count = ::read(source, room.data(), room.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "read");
    if (count == 0) return {};
    const auto length = static_cast<std::size_t>(count);
    TRY(transfer.files.write(file, offset, room.first(length), transfer.context));
    offset += length;
    transfer.progress.add_bytes(length);
  }
}

Result<void> put_span(const Transfer& transfer, int source, Span span, OpenFile& file, Buffer& buffer) {
  while (span.begin < span.end) {
    const MutableBuffer room = buffer.first(span.end - span.begin);
    const ssize_t count = ::pread(source, room.data(), room.size(), static_cast<off_t>(span.begin));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "read");
    if (count == 0) return {};  // it became shorter meanwhile
    const auto length = static_cast<std::size_t>(count);
    TRY(transfer.files.write(file, span.begin, room.first(length), transfer.context));
    span.begin += length;
    transfer.progress.add_bytes(length);
  }
  return {};
}

Result<void> put_regular(const Transfer& transfer, int source, std::uint64_t size, InodeId inode,
                         OpenFile& file) {
  Buffer buffer;
  std::uint64_t offset = 0;
  for (;;) {
    const auto data = TRY(next_data(source, offset, size));
    if (!data) break;
    TRY(put_span(transfer, source, *data, file, buffer));
    offset = data->end;
  }
  if (offset >= size) return {};
  // A hole at the end is only a size; what was written goes first.
  TRY(transfer.files.flush(file, transfer.context));
  SetAttrArgs args;
  args.inode = inode;
  args.size = size;
  TRY(transfer.files.set_attributes(args, transfer.context));
  return {};
}

Result<void> get_span(const Transfer& transfer, OpenFile& file, Span span, int target, Buffer& buffer) {
  while (span.begin < span.end) {
    const MutableBuffer room = buffer.first(span.end - span.begin);
    const std::size_t count = TRY(transfer.files.read(file, span.begin, room, transfer.context));
    if (count == 0) return {};
    TRY(write_all(target, room.first(count)));
    span.begin += count;
    transfer.progress.add_bytes(count);
  }
  return {};
}

// Into a fresh local file: seeks over holes, ends with the right size.
Result<void> get_sparse(const Transfer& transfer, OpenFile& file, std::uint64_t size, int target) {
  Buffer buffer;
  std::uint64_t offset = 0;
  while (offset < size) {
    const auto begin = TRY(transfer.files.seek(file, offset, true, transfer.context));
    if (!begin) break;
    const auto end = TRY(transfer.files.seek(file, *begin, false, transfer.context));
    const Span span{*begin, std::min(end.value_or(size), size)};
    if (::lseek(target, static_cast<off_t>(span.begin), SEEK_SET) < 0) return fail_errno(errno, "seek");
    TRY(get_span(transfer, file, span, target, buffer));
    if (span.end <= offset) break;
    offset = span.end;
  }
  if (::ftruncate(target, static_cast<off_t>(size)) != 0) return fail_errno(errno, "set the size");
  return {};
}

Result<Opened> open_for_reading(const Transfer& transfer, const Attributes& source) {
  if (source.type == FileType::directory) return fail(Errc::is_directory, "use -r for directories");
  if (source.type != FileType::regular) return fail(Errc::unsupported, "not a regular file");
  return transfer.files.open(source.inode, OpenOptions{.read = true}, transfer.context);
}

}  // namespace

Result<void> put_file(const Transfer& transfer, int source, InodeId parent, const std::string& name) {
  struct stat facts {};
  if (::fstat(source, &facts) != 0) return fail_errno(errno, "stat");
  if (S_ISDIR(facts.st_mode)) return fail(Errc::is_directory, "use -r for directories");
  const bool is_regular = S_ISREG(facts.st_mode);
  constexpr mode_t kStreamMode = 0644;
  const mode_t mode = is_regular ? facts.st_mode & 0777 : kStreamMode;

  const OpenOptions options{.read = false, .write = true, .truncate = true};
  Created created = TRY(transfer.files.create(parent, name, mode, false, options, transfer.context));
  Opening opening(transfer.files, std::move(created.file));
  if (is_regular) {
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    TRY(put_regular(transfer, source, size, created.attributes.inode, opening.get()));
  } else {
    TRY(put_stream(transfer, source, opening.get()));
  }
  return transfer.files.flush(opening.get(), transfer.context);
}

Result<void> put_file(const Transfer& transfer, const std::filesystem::path& source, InodeId parent,
                      const std::string& name) {
  const UniqueFd file(::open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) return fail_errno(errno, "open");
  TRY(put_file(transfer, file.get(), parent, name));
  if (!transfer.preserve) return {};
  const Attributes stored = TRY(transfer.files.lookup(parent, name, transfer.context));
  return preserve_remote(transfer, source, stored.inode);
}

Result<void> get_file(const Transfer& transfer, const Attributes& source, int target) {
  Opened opened = TRY(open_for_reading(transfer, source));
  Opening opening(transfer.files, std::move(opened.file));
  Buffer buffer;
  const Span all{0, opened.attributes.size};
  return get_span(transfer, opening.get(), all, target, buffer);
}

Result<void> get_file(const Transfer& transfer, const Attributes& source,
                      const std::filesystem::path& target) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(target, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    // A device, a pipe or a link: what it stands for gets the bytes.
    const UniqueFd file(::open(target.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (!file) return fail_errno(errno, "open " + target.string());
    return get_file(transfer, source, file.get());
  }

  Opened opened = TRY(open_for_reading(transfer, source));
  Opening opening(transfer.files, std::move(opened.file));
  const std::filesystem::path fresh =
      target.parent_path() / fmt::format(".dfs-get-{}", random_hex(8));
  const UniqueFd file(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, source.mode & 0777U));
  if (!file) return fail_errno(errno, "create " + target.string());
  auto done = get_sparse(transfer, opening.get(), opened.attributes.size, file.get());
  if (done && transfer.preserve) done = preserve_local(opened.attributes, fresh);
  if (done && ::rename(fresh.c_str(), target.c_str()) != 0)
    done = fail_errno(errno, "create " + target.string());
  if (!done) ::unlink(fresh.c_str());
  return done;
}

Result<void> preserve_remote(const Transfer& transfer, const std::filesystem::path& source,
                             InodeId inode) {
  struct stat facts {};
  if (::lstat(source.c_str(), &facts) != 0) return fail_errno(errno, "stat");
  SetAttrArgs args;
  args.inode = inode;
  if (::geteuid() == 0) {
    args.uid = facts.st_uid;
    args.gid = facts.st_gid;
  }
  if (!S_ISLNK(facts.st_mode)) args.mode = facts.st_mode & 07777;
  args.atime = nanos(facts.st_atim);
  args.mtime = nanos(facts.st_mtim);
  TRY(transfer.files.set_attributes(args, transfer.context));
  return {};
}

Result<void> preserve_local(const Attributes& source, const std::filesystem::path& target) {
  if (::geteuid() == 0 && ::lchown(target.c_str(), source.uid, source.gid) != 0)
    return fail_errno(errno, "set the owner");
  const bool is_link = source.type == FileType::symlink;
  if (!is_link && ::chmod(target.c_str(), source.mode) != 0) return fail_errno(errno, "set the mode");
  const timespec times[2] = {to_timespec(source.atime), to_timespec(source.mtime)};
  if (::utimensat(AT_FDCWD, target.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno(errno, "set the times");
  return {};
}

}  // namespace dfs::cli
