// Sizes, allocation, and where data and holes are.
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "tests/model/places.h"
#include "tests/model/side.h"

namespace dfs::model {
namespace {

constexpr std::uint64_t kPage = 4096;

void fill_truncate(Dice& dice, const Geometry& geometry, Operation& operation) {
  operation.path = any_path(dice, Wanted::file);
  operation.offset = any_offset(dice, geometry);
}

Outcome truncate(Side& side, const Operation& operation) {
  return answered(::truncate(side.path(operation.path).c_str(), static_cast<off_t>(operation.offset)));
}

void fill_ftruncate(Dice& dice, const Geometry& geometry, Operation& operation) {
  operation.uses_slot = true;
  operation.slot = dice.below(kSlots);
  operation.offset = any_offset(dice, geometry);
}

Outcome ftruncate(Side& side, const Operation& operation) {
  return answered(::ftruncate(side.descriptor(operation.slot), static_cast<off_t>(operation.offset)));
}

struct Mode {
  int flags;
  Feature feature;
  const char* name;
};
constexpr Mode kModes[] = {
    {0, Feature::allocate, "0"},
    {FALLOC_FL_KEEP_SIZE, Feature::allocate_keep, "KEEP_SIZE"},
    {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, Feature::punch_hole, "PUNCH_HOLE|KEEP_SIZE"},
    {FALLOC_FL_ZERO_RANGE, Feature::zero_range, "ZERO_RANGE"},
    {FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, Feature::zero_range_keep, "ZERO_RANGE|KEEP_SIZE"},
    {FALLOC_FL_COLLAPSE_RANGE, Feature::collapse_range, "COLLAPSE_RANGE"},
    {FALLOC_FL_INSERT_RANGE, Feature::insert_range, "INSERT_RANGE"},
};

const Mode& mode_of(const Operation& operation) {
  return *std::find_if(std::begin(kModes), std::end(kModes),
                       [&](const Mode& mode) { return mode.flags == operation.flags; });
}

void fill_allocate(Dice& dice, const Geometry& geometry, Operation& operation) {
  operation.uses_slot = true;
  operation.slot = dice.below(kSlots);
  const std::size_t mode = dice.pick<std::size_t>({0, 1, 2, 2, 2, 2, 3, 3, 4, 5, 6});
  operation.flags = kModes[mode].flags;
  operation.offset = any_offset(dice, geometry);
  operation.length = any_length(dice, geometry, operation.offset);
  const bool is_shift = (operation.flags & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) != 0;
  if (is_shift) {  // the reference moves whole blocks
    operation.offset -= operation.offset % kPage;
    operation.length += kPage - operation.length % kPage;
  }
}

Outcome allocate(Side& side, const Operation& operation) {
  return answered(::fallocate(side.descriptor(operation.slot), operation.flags, static_cast<off_t>(operation.offset),
                              static_cast<off_t>(operation.length)));
}

void fill_slot(Dice& dice, const Geometry&, Operation& operation) {
  operation.uses_slot = true;
  operation.slot = dice.below(kSlots);
  operation.seed = dice.number();
}

// What one side says about its own data and holes must fit what it reads. The
// two sides may differ: a file system may keep zeros, or not.
class HoleWalk {
 public:
  HoleWalk(int fd, std::uint64_t size) : fd_(fd), size_(size) {}

  std::string complaint() {
    for (std::uint64_t at = 0; at < size_ && complaint_.empty();) at = step(at);
    if (complaint_.empty()) check_beyond_end();
    return complaint_;
  }
  void check_from(std::uint64_t offset) {
    if (offset < size_) step(offset);
  }

 private:
  // Checks the hole and the data from `at` on; returns where the data ends.
  std::uint64_t step(std::uint64_t at) {
    std::uint64_t data = size_;
    const off_t found = ::lseek(fd_, static_cast<off_t>(at), SEEK_DATA);
    if (found >= 0) {
      data = static_cast<std::uint64_t>(found);
    } else if (errno != ENXIO) {
      return complain_at(at, "SEEK_DATA fails");
    }
    if (data < at || data > size_ || (found >= 0 && data == size_)) return complain_at(at, "SEEK_DATA leaves the file");
    check_zeros(at, data);
    if (data == size_) return size_;
    const off_t hole = ::lseek(fd_, static_cast<off_t>(data), SEEK_HOLE);
    if (hole < 0) return complain_at(data, "SEEK_HOLE fails within the file");
    const auto end = static_cast<std::uint64_t>(hole);
    if (end <= data || end > size_) return complain_at(data, "SEEK_HOLE finds no end of data");
    return end;
  }

  void check_zeros(std::uint64_t from, std::uint64_t end) {
    if ((::fcntl(fd_, F_GETFL) & O_ACCMODE) == O_WRONLY) return;
    const Outcome read = read_fully(fd_, from, end - from);
    if (read.value < 0 || read.bytes.size() != end - from) {
      complain_at(from, "a hole cannot be read");
    } else if (const auto other = read.bytes.find_first_not_of('\0'); other != std::string::npos) {
      complain_at(from + other, "a hole does not read as zero");
    }
  }

  void check_beyond_end() {
    for (const int whence : {SEEK_DATA, SEEK_HOLE}) {
      if (::lseek(fd_, static_cast<off_t>(size_), whence) != -1 || errno != ENXIO)
        complain_at(size_, "seeking from the end is not ENXIO");
    }
  }

  std::uint64_t complain_at(std::uint64_t offset, const char* what) {
    complaint_ = fmt::format("{}, at {} of {}", what, offset, size_);
    return size_;
  }

  int fd_;
  std::uint64_t size_;
  std::string complaint_;
};

Outcome seek_holes(Side& side, const Operation& operation) {
  const int fd = side.descriptor(operation.slot);
  if (!is_regular(fd)) return {};
  // The kernel answers these seeks without sending pages that a mapping left
  // dirty, so they are sent first: to the mount, not further.
  ::sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  const off_t position = ::lseek(fd, 0, SEEK_CUR);
  const off_t size = ::lseek(fd, 0, SEEK_END);
  HoleWalk walk(fd, static_cast<std::uint64_t>(size));
  walk.check_from(operation.seed % (static_cast<std::uint64_t>(size) + 1));
  Outcome outcome;
  outcome.value = size;
  outcome.complaint = walk.complaint();
  ::lseek(fd, position, SEEK_SET);
  return outcome;
}

constexpr OperationKind kKinds[] = {
    {"truncate", 12, fill_truncate, truncate,
     [](const Operation& operation) { return fmt::format("truncate({:?}, {})", operation.path, operation.offset); }},
    {"ftruncate", 35, fill_ftruncate, ftruncate,
     [](const Operation& operation) { return fmt::format("ftruncate(slot {}, {})", operation.slot, operation.offset); }},
    {"fallocate", 35, fill_allocate, allocate,
     [](const Operation& operation) {
       return fmt::format("fallocate(slot {}, {}, {} bytes at {})", operation.slot, mode_of(operation).name,
                          operation.length, operation.offset);
     },
     [](const Operation& operation) -> std::optional<Feature> { return mode_of(operation).feature; }},
    {"seek_holes", 15, fill_slot, seek_holes,
     [](const Operation& operation) { return fmt::format("SEEK_DATA and SEEK_HOLE through slot {}", operation.slot); }},
};

}  // namespace

std::span<const OperationKind> range_operations() { return kKinds; }

}  // namespace dfs::model
