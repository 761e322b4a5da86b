// Bytes read and written through descriptors, through mappings, and between
// files.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "tests/model/places.h"
#include "tests/model/side.h"

namespace dfs::model {
namespace {

constexpr std::uint64_t kPage = 4096;

// A write where the descriptor stands, or at the end, would make the file
// longer than a run allows. Nothing is written then, on both sides.
bool is_too_long(int fd, std::uint64_t file_max) {
  const off_t at = ::lseek(fd, 0, SEEK_CUR);
  struct stat found {};
  if (::fstat(fd, &found) != 0) return false;
  return static_cast<std::uint64_t>(std::max(at, found.st_size)) > file_max;
}

void fill_sequential(Dice& dice, const Geometry& geometry, Operation& operation) {
  operation.uses_slot = true;
  operation.slot = dice.below(kSlots);
  operation.length = any_length(dice, geometry, 0);
  operation.offset = geometry.file_max;
  operation.seed = dice.number();
}

void fill_positioned(Dice& dice, const Geometry& geometry, Operation& operation) {
  operation.uses_slot = true;
  operation.slot = dice.below(kSlots);
  operation.offset = any_offset(dice, geometry);
  operation.length = any_length(dice, geometry, operation.offset);
  operation.seed = dice.number();
}

Outcome with_bytes(ssize_t count, std::string bytes) {
  Outcome outcome = answered(count);
  if (count > 0) {
    bytes.resize(static_cast<std::size_t>(count));
    outcome.bytes = std::move(bytes);
  }
  return outcome;
}

Outcome read(Side& side, const Operation& operation) {
  std::string bytes(operation.length, '?');
  const ssize_t count = ::read(side.descriptor(operation.slot), bytes.data(), bytes.size());
  return with_bytes(count, std::move(bytes));
}

Outcome write(Side& side, const Operation& operation) {
  const int fd = side.descriptor(operation.slot);
  if (is_too_long(fd, operation.offset)) return {};
  const std::string bytes = pattern(operation.seed, operation.length);
  return answered(::write(fd, bytes.data(), bytes.size()));
}

Outcome write_vector(Side& side, const Operation& operation) {
  const int fd = side.descriptor(operation.slot);
  if (is_too_long(fd, operation.offset)) return {};
  std::string bytes = pattern(operation.seed, operation.length);
  const std::size_t first = operation.seed % (bytes.size() + 1);
  const iovec parts[] = {{bytes.data(), first}, {bytes.data() + first, bytes.size() - first}};
  return answered(::writev(fd, parts, 2));
}

Outcome read_at(Side& side, const Operation& operation) {
  std::string bytes(operation.length, '?');
  const ssize_t count = ::pread(side.descriptor(operation.slot), bytes.data(), bytes.size(),
                                static_cast<off_t>(operation.offset));
  return with_bytes(count, std::move(bytes));
}

// Through O_APPEND descriptors too: Linux then appends, whatever the offset.
Outcome write_at(Side& side, const Operation& operation) {
  const int fd = side.descriptor(operation.slot);
  const std::string bytes = pattern(operation.seed, operation.length);
  const int status = ::fcntl(fd, F_GETFL);
  if (status != -1 && (status & O_APPEND) != 0 && is_too_long(fd, 4 * kPage)) return {};
  return answered(::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(operation.offset)));
}

void fill_seek(Dice& dice, const Geometry& geometry, Operation& operation) {
  operation.uses_slot = true;
  operation.slot = dice.below(kSlots);
  operation.flags = dice.pick({SEEK_SET, SEEK_CUR, SEEK_END});
  operation.offset = any_offset(dice, geometry);
  if (operation.flags != SEEK_SET) operation.offset = -(operation.offset % (3 * kPage));
}

Outcome seek(Side& side, const Operation& operation) {
  const int fd = side.descriptor(operation.slot);
  if (!is_regular(fd)) return {};
  return answered(::lseek(fd, static_cast<off_t>(operation.offset), operation.flags));
}

// A mapping of [offset, offset + length), as far as the file reaches.
class Mapping {
 public:
  enum class For { reading, writing };

  Mapping(int fd, std::uint64_t offset, std::uint64_t length, For purpose) {
    struct stat found {};
    if (::fstat(fd, &found) != 0 || !S_ISREG(found.st_mode)) return;
    const auto size = static_cast<std::uint64_t>(found.st_size);
    if (offset >= size || length == 0) return;
    length_ = std::min(length, size - offset);
    lead_ = offset % kPage;
    const int protection = purpose == For::writing ? PROT_READ | PROT_WRITE : PROT_READ;
    void* const at = ::mmap(nullptr, lead_ + length_, protection, MAP_SHARED, fd, static_cast<off_t>(offset - lead_));
    if (at == MAP_FAILED) {
      error_ = errno;
      return;
    }
    base_ = static_cast<char*>(at);
    // Fails where touching the page would be a SIGBUS.
    const int advice = purpose == For::writing ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    if (::madvise(base_, lead_ + length_, advice) != 0) error_ = errno;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (base_ != nullptr) ::munmap(base_, lead_ + length_);
  }

  int error() const { return error_; }
  bool is_empty() const { return base_ == nullptr; }
  char* data() const { return base_ + lead_; }
  std::size_t size() const { return length_; }
  int sync() const { return ::msync(base_, lead_ + length_, MS_SYNC); }

 private:
  char* base_ = nullptr;
  std::size_t lead_ = 0;
  std::size_t length_ = 0;
  int error_ = 0;
};

Outcome failed_with(int error) {
  Outcome outcome;
  outcome.value = -1;
  outcome.error = error;
  return outcome;
}

Outcome map_read(Side& side, const Operation& operation) {
  const Mapping mapping(side.descriptor(operation.slot), operation.offset, operation.length, Mapping::For::reading);
  if (mapping.error() != 0) return failed_with(mapping.error());
  if (mapping.is_empty()) return {};
  return with_bytes(static_cast<ssize_t>(mapping.size()), std::string(mapping.data(), mapping.size()));
}

Outcome map_write(Side& side, const Operation& operation) {
  const int fd = side.descriptor(operation.slot);
  const Mapping mapping(fd, operation.offset, operation.length, Mapping::For::writing);
  if (mapping.error() != 0) return failed_with(mapping.error());
  if (mapping.is_empty()) return {};
  const std::string bytes = pattern(operation.seed, mapping.size());
  std::memcpy(mapping.data(), bytes.data(), bytes.size());
  if (operation.seed % 4 == 0) return {};  // pages stay dirty until something else sends them
  return answered(side.is_reference() ? 0 : mapping.sync());
}

void fill_copy(Dice& dice, const Geometry& geometry, Operation& operation) {
  fill_positioned(dice, geometry, operation);
  operation.other_slot = dice.below(kSlots);
  operation.other_offset = any_offset(dice, geometry);
  operation.length = std::min(operation.length, any_length(dice, geometry, operation.other_offset));
}

// A copy may stop early at any place; what counts is where it ends when it is
// asked to go on.
Outcome copy_range(Side& side, const Operation& operation) {
  const int from = side.descriptor(operation.slot), to = side.descriptor(operation.other_slot);
  auto from_offset = static_cast<off_t>(operation.offset), to_offset = static_cast<off_t>(operation.other_offset);
  std::uint64_t left = operation.length;
  while (left > 0) {
    const ssize_t count = ::copy_file_range(from, &from_offset, to, &to_offset, left, 0);
    if (count < 0) return answered(-1);
    if (count == 0) break;
    left -= static_cast<std::uint64_t>(count);
  }
  return answered(static_cast<std::int64_t>(operation.length - left));
}

std::optional<Feature> needs_copy_range(const Operation&) { return Feature::copy_file_range; }

void fill_read_path(Dice& dice, const Geometry& geometry, Operation& operation) {
  operation.path = any_path(dice, Wanted::file);
  operation.length = geometry.file_max * 2;
}

Outcome read_path(Side& side, const Operation& operation) {
  const UniqueFd fd(::openat(side.root(), operation.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return answered(-1);
  if (!is_regular(fd.get())) return {};
  return read_fully(fd.get(), 0, operation.length);
}

std::string sequential_text(const Operation& operation) {
  return fmt::format("{}(slot {}, {} bytes)", operation.kind->name, operation.slot, operation.length);
}
std::string positioned_text(const Operation& operation) {
  return fmt::format("{}(slot {}, {} bytes at {})", operation.kind->name, operation.slot, operation.length,
                     operation.offset);
}

constexpr OperationKind kKinds[] = {
    {"read", 40, fill_sequential, read, sequential_text},
    {"write", 60, fill_sequential, write, sequential_text},
    {"writev", 15, fill_sequential, write_vector, sequential_text},
    {"pread", 80, fill_positioned, read_at, positioned_text},
    {"pwrite", 80, fill_positioned, write_at, positioned_text},
    {"lseek", 25, fill_seek, seek,
     [](const Operation& operation) {
       return fmt::format("lseek(slot {}, {}, {})", operation.slot, static_cast<std::int64_t>(operation.offset),
                          operation.flags == SEEK_SET   ? "SEEK_SET"
                          : operation.flags == SEEK_CUR ? "SEEK_CUR"
                                                        : "SEEK_END");
     }},
    {"map_read", 25, fill_positioned, map_read, positioned_text},
    {"map_write", 25, fill_positioned, map_write,
     [](const Operation& operation) {
       return positioned_text(operation) + (operation.seed % 4 == 0 ? ", no msync" : ", msync");
     },
     nullptr, Times::unknown},
    {"copy_file_range", 20, fill_copy, copy_range,
     [](const Operation& operation) {
       return fmt::format("copy_file_range(slot {} at {}, slot {} at {}, {} bytes)", operation.slot,
                          operation.offset, operation.other_slot, operation.other_offset, operation.length);
     },
     needs_copy_range},
    {"read_path", 15, fill_read_path, read_path,
     [](const Operation& operation) { return fmt::format("read all of {:?}", operation.path); }},
};

}  // namespace

std::span<const OperationKind> content_operations() { return kKinds; }

}  // namespace dfs::model
