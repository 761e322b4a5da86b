#include "common/base/checksum.h"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dfs {

Checksum checksum_of(BufferView bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::vector<Checksum> block_checksums(BufferView bytes) {
  std::vector<Checksum> sums;
  sums.reserve(block_count(bytes.size()));
  for (std::size_t at = 0; at < bytes.size(); at += kBlockSize) {
    sums.push_back(checksum_of(bytes.subspan(at, std::min<std::size_t>(kBlockSize, bytes.size() - at))));
  }
  return sums;
}

bool checksums_hold(BufferView bytes, const Checksum* checksums, std::size_t count) {
  if (count != block_count(bytes.size())) return false;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = i * kBlockSize;
    const auto block = bytes.subspan(at, std::min<std::size_t>(kBlockSize, bytes.size() - at));
    if (checksum_of(block) != checksums[i]) return false;
  }
  return true;
}

bool checksums_hold(std::span<const BufferView> pieces, const Checksum* checksums,
                    std::size_t count) {
  if (pieces.size() == 1) return checksums_hold(pieces.front(), checksums, count);
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  std::size_t block_bytes = 0;  // in `state`
  std::size_t checked = 0;
  const auto block_holds = [&] {
    return checked < count && XXH3_64bits_digest(&state) == checksums[checked++];
  };
  for (BufferView piece : pieces) {
    while (!piece.empty()) {
      const BufferView part = piece.first(std::min(piece.size(), kBlockSize - block_bytes));
      piece = piece.subspan(part.size());
      if (block_bytes == 0 && part.size() == kBlockSize) {  // the fast way: no state
        if (checked == count || checksum_of(part) != checksums[checked++]) return false;
        continue;
      }
      XXH3_64bits_update(&state, part.data(), part.size());
      block_bytes += part.size();
      if (block_bytes < kBlockSize) continue;
      if (!block_holds()) return false;
      XXH3_64bits_reset(&state);
      block_bytes = 0;
    }
  }
  if (block_bytes > 0 && !block_holds()) return false;
  return checked == count;
}

}  // namespace dfs
