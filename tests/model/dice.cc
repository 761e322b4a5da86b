#include "tests/model/dice.h"

#include <algorithm>
#include <cstring>

namespace dfs::model {

std::string pattern(std::uint64_t seed, std::size_t count) {
  constexpr std::uint64_t kNoZeroByte = 0x0101010101010101;
  std::string bytes(count, '\0');
  Dice dice(seed, count);
  for (std::size_t at = 0; at < count; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = dice.number() | kNoZeroByte;
    std::memcpy(bytes.data() + at, &word, std::min(sizeof word, count - at));
  }
  return bytes;
}

}  // namespace dfs::model
