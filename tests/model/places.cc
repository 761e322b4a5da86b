#include "tests/model/places.h"

#include <algorithm>

#include "common/base/ids.h"

namespace dfs::model {
namespace {

constexpr std::uint64_t kPage = 4096;

std::string directory_name(Dice& dice) { return dice.pick<const char*>({"a", "b", "c"}); }
std::string file_name(Dice& dice) { return dice.pick<const char*>({"f", "g", "h", "i"}); }

std::string last_name(Dice& dice, Wanted wanted) {
  if (dice.one_in(200)) return std::string(kNameMax, 'n');
  if (dice.one_in(200)) return std::string(kNameMax + 1, 'n');
  if (dice.one_in(200)) return "odd \n\xc3\xa4 name\xff";
  if (dice.one_in(100)) return dice.pick<const char*>({".", "..", "a/"});
  const bool as_wanted = !dice.one_in(8);
  return (wanted == Wanted::directory) == as_wanted ? directory_name(dice) : file_name(dice);
}

}  // namespace

std::string any_path(Dice& dice, Wanted wanted) {
  std::string path;
  for (std::uint64_t depth = dice.pick<std::uint64_t>({0, 0, 1, 1, 1, 2}); depth > 0; --depth) {
    path += (dice.one_in(12) ? file_name(dice) : directory_name(dice)) + "/";
  }
  std::string name = last_name(dice, wanted);
  if (name == ".." && path.empty()) name = ".";  // nothing outside is touched
  return path + name;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::uint64_t any_offset(Dice& dice, const Geometry& geometry) {
  std::uint64_t offset = 0;
  switch (dice.below(8)) {
    case 0: break;
    case 1:
    case 2: offset = dice.below(4 * kPage); break;
    case 3: offset = dice.below(geometry.file_max / kPage + 1) * kPage; break;
    case 4: offset = dice.below(geometry.file_max / kBlockSize + 1) * kBlockSize; break;
    case 5: offset = dice.below(geometry.file_max / geometry.chunk + 1) * geometry.chunk; break;
    case 6: offset = dice.below(std::min<std::uint64_t>(geometry.file_max, 4 * kBlockSize)); break;
    default: offset = dice.below(geometry.file_max); break;
  }
  if (!dice.one_in(3)) {
    const std::uint64_t beside = dice.below(dice.pick<std::uint64_t>({2, 8, 600}));
    offset = dice.one_in(2) ? offset + beside : offset - std::min(offset, beside);
  }
  return std::min(offset, geometry.file_max);
}

std::uint64_t any_length(Dice& dice, const Geometry& geometry, std::uint64_t offset) {
  std::uint64_t length = 0;
  switch (dice.below(10)) {
    case 0: length = dice.below(3); break;
    case 1:
    case 2:
    case 3: length = dice.below(300); break;
    case 4:
    case 5: length = dice.below(3 * kPage); break;
    case 6: length = kPage * (1 + dice.below(4)); break;
    case 7: length = any_offset(dice, geometry) % (3 * kBlockSize); break;
    case 8: length = dice.below(2 * kBlockSize); break;
    default: length = dice.pick<std::uint64_t>({kPage, kBlockSize, kBlockSize - 1, kBlockSize + 1}); break;
  }
  return std::min(length, geometry.file_max - std::min(offset, geometry.file_max));
}

}  // namespace dfs::model
