#include "common/base/lasting_memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

namespace dfs {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kMagic = 0x7473616c'2d736664;  // "dfs-last" in memory
constexpr std::uint32_t kDirectoryLayout = 1;
constexpr std::size_t kNameBytes = 24;

constexpr std::uint64_t whole_pages(std::uint64_t bytes) {
  return (bytes + kPage - 1) / kPage * kPage;
}

}  // namespace

// The first page. An entry counts once `count` says so.
struct LastingMemory::Directory {
  struct Entry {
    std::array<char, kNameBytes> name;
    std::uint32_t layout;
    std::uint32_t reserved;
    std::uint64_t offset;
    std::uint64_t bytes;
  };
  std::uint64_t magic;
  std::uint32_t layout;
  std::atomic<std::uint32_t> count;
  std::array<Entry, 31> entries;
};

LastingMemory::LastingMemory(UniqueFd file, Directory* directory)
    : file_(std::move(file)), directory_(directory) {
  static_assert(sizeof(Directory) <= kPage);
  mapped_.push_back({reinterpret_cast<std::byte*>(directory), kPage});
}

LastingMemory::LastingMemory(LastingMemory&& other) noexcept
    : file_(std::move(other.file_)),
      directory_(std::exchange(other.directory_, nullptr)),
      mapped_(std::exchange(other.mapped_, {})) {}

LastingMemory::~LastingMemory() {
  for (const MutableBuffer& part : mapped_) ::munmap(part.data(), part.size());
}

Result<LastingMemory> LastingMemory::create() {
  UniqueFd file(::memfd_create("dfs", MFD_CLOEXEC));
  if (!file) return fail_errno(errno, "memfd_create");
  return open(std::move(file));
}

Result<LastingMemory> LastingMemory::open(UniqueFd file) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return fail_errno(errno, "fstat");
  const bool is_new = status.st_size == 0;
  if (is_new && ::ftruncate(file.get(), kPage) != 0) return fail_errno(errno, "ftruncate");
  if (!is_new && static_cast<std::size_t>(status.st_size) < kPage)
    return fail(Errc::bad_message, "this is no memory of a mount");
  void* mapped = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) return fail_errno(errno, "mmap");

  LastingMemory memory(std::move(file), static_cast<Directory*>(mapped));
  Directory& directory = *memory.directory_;
  if (is_new) {
    directory.layout = kDirectoryLayout;
    directory.magic = kMagic;
  }
  if (directory.magic != kMagic) return fail(Errc::bad_message, "this is no memory of a mount");
  if (directory.layout != kDirectoryLayout || directory.count > directory.entries.size())
    return fail(Errc::wrong_version, "the memory was made by another version of the program");
  return memory;
}

Result<LastingMemory::Part> LastingMemory::part(std::string_view name, std::uint32_t layout,
                                                std::size_t bytes) {
  invariant(name.size() < kNameBytes && bytes > 0, "parts have short names and some bytes");
  const std::uint32_t count = directory_->count.load(std::memory_order_acquire);
  std::uint64_t end = kPage;
  for (std::uint32_t at = 0; at < count; ++at) {
    const Directory::Entry& entry = directory_->entries[at];
    end = entry.offset + whole_pages(entry.bytes);
    if (name != std::string_view(entry.name.data())) continue;
    if (entry.layout != layout || entry.bytes != bytes)
      return fail(Errc::wrong_version,
                  fmt::format("its part \"{}\" is of layout {} and has {} bytes; this program knows "
                              "layout {} and wants {}",
                              name, entry.layout, entry.bytes, layout, bytes));
    const MutableBuffer mapped = TRY(map(entry.offset, bytes));
    return Part{mapped, false};
  }

  invariant(count < directory_->entries.size(), "there is room for every part");
  if (::ftruncate(file_.get(), static_cast<off_t>(end + whole_pages(bytes))) != 0)
    return fail_errno(errno, "ftruncate");
  const MutableBuffer mapped = TRY(map(end, bytes));
  Directory::Entry& entry = directory_->entries[count];
  entry = {};
  std::memcpy(entry.name.data(), name.data(), name.size());
  entry.layout = layout;
  entry.offset = end;
  entry.bytes = bytes;
  directory_->count.store(count + 1, std::memory_order_release);
  return Part{mapped, true};
}

Result<MutableBuffer> LastingMemory::map(std::uint64_t offset, std::size_t bytes) {
  void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                        file_.get(), static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) return fail_errno(errno, "mmap");
  // Only advice: large parts may come in huge pages where there are any.
  static_cast<void>(::madvise(mapped, bytes, MADV_HUGEPAGE));
  mapped_.push_back({static_cast<std::byte*>(mapped), bytes});
  return mapped_.back();
}

}  // namespace dfs
