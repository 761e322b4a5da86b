// XXH3-64 over blocks of 64 KiB: how chunk bytes are protected from the
// client's memory to the disk and back.
//
// The algorithm and its constants: https://github.com/Cyan4973/xxHash
// (doc/xxhash_spec.md), seed 0. A chunk's bytes are cut into blocks of
// kBlockSize, the last one shorter; each has one checksum.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"

namespace dfs {

using Checksum = std::uint64_t;

Checksum checksum_of(BufferView bytes);

// One checksum per block of `bytes`, which start at a block border.
std::vector<Checksum> block_checksums(BufferView bytes);

// The number of blocks that `length` bytes have.
constexpr std::uint32_t block_count(std::uint64_t length) {
  return static_cast<std::uint32_t>((length + kBlockSize - 1) / kBlockSize);
}

// True if `checksums` are exactly those of the blocks of `bytes`.
bool checksums_hold(BufferView bytes, const Checksum* checksums, std::size_t count);
// The same of bytes that lie in pieces of any length, as they come off the wire.
bool checksums_hold(std::span<const BufferView> pieces, const Checksum* checksums,
                    std::size_t count);

}  // namespace dfs
