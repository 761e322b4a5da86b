// How a segment file is laid out. All numbers are little-endian.
//
// A segment is a header block of 4 KiB and then records, each at a multiple of
// 4 KiB, so that punching a record out gives back whole blocks.
//
//   segment header                       record header
//    0  u64 magic "DFSSEG01"              0  u64 magic "DFSCHNK1"
//    8  u32 version, 1                    8  u32 version, 2
//   12  u32 number                       12  u32 length: bytes of the chunk
//   16  u64 salt                         16  u64 chunk id
//   24  u64 state: 0 open, 1 sealed      24  u64 inode the chunk was written for
//   32  u64 end: past the last record    32  u64 offset in that inode's file
//       (sealed only)                    40  u64 serial: grows with every record
//   40  u64 XXH3-64 of bytes 0..39           of the store
//                                        48  u64 place: this header's offset in
//                                            the segment
//                                        56  u64 salt, the segment's
//                                        64  u64 when it was written (ns since
//                                            1970; 0: not known), and 2^63 if
//                                            it is scattered
//                                        72  u64 XXH3-64 of the block checksums
//                                        80  u64 XXH3-64 of bytes 0..79
//                                        88  u64 block checksums ...
//
// Records of version 1 have at 64 the number of block checksums and at 68 where
// the data starts, both of which follow from the length, and say nothing of the time.
//
// The data of a chunk of one block follows its checksum at once, so that a
// small file costs few blocks; the data of a longer one starts at the next
// multiple of 4 KiB, so that its frames are whole pages.
//
// A record is valid if its header is whole, was written for this segment and
// this place (salt and place keep a copy of a segment that is stored inside
// a chunk from being taken for records), and its data matches the checksums.
// Nothing else marks a chunk as stored: the index can be rebuilt from this.
// A header that is all zeros is a deleted record, or one never finished. A
// deleted record is punched out whole, header included: what would be gained
// by keeping a marker, knowing how far to skip, the file system's map of holes
// says too, and a marker would cost a block for each small chunk deleted.
// A sealed segment was on stable media, whole, when it was sealed: a record
// of it that does not match its checksums is damaged, not unfinished.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "common/base/bytes.h"
#include "common/base/checksum.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "server/storage/disk.h"

namespace dfs::storage {

inline constexpr std::uint64_t kSegmentHeaderBytes = kDiskBlock;
inline constexpr std::size_t kRecordHeaderBytes = 88;

struct SegmentHeader {
  std::uint32_t number = 0;
  std::uint64_t salt = 0;
  bool sealed = false;
  std::uint64_t end = 0;
};

// What a chunk is, besides its bytes.
struct ChunkMeta {
  ChunkId chunk;
  std::uint32_t length = 0;
  InodeId inode;                // what it was written for; for salvage
  std::uint64_t file_offset = 0;
  WallNanos written = 0;        // as its writer says; 0: not known
  bool scattered = false;       // several runs of its file, with a map at its end (common/rpc/run_map.h)

  friend bool operator==(const ChunkMeta&, const ChunkMeta&) = default;
};

struct RecordHeader {
  ChunkMeta meta;
  std::uint64_t serial = 0;
  std::uint64_t place = 0;
  std::uint64_t salt = 0;
  std::uint64_t sums_checksum = 0;
};

// From the start of the record: where the data of a chunk of `length` starts,
// and how many bytes, whole blocks, the record takes.
constexpr std::uint64_t data_start(std::uint32_t length) {
  const std::uint64_t table_end = kRecordHeaderBytes + 8 * std::uint64_t{block_count(length)};
  if (block_count(length) <= 1) return table_end;
  return (table_end + kDiskBlock - 1) / kDiskBlock * kDiskBlock;
}
constexpr std::uint64_t record_bytes(std::uint32_t length) {
  return (data_start(length) + length + kDiskBlock - 1) / kDiskBlock * kDiskBlock;
}

using SegmentHeaderBytes = std::array<std::byte, 48>;
SegmentHeaderBytes encode(const SegmentHeader& header);
// Nothing if this is no segment header.
std::optional<SegmentHeader> decode_segment_header(BufferView bytes);

using RecordHeaderBytes = std::array<std::byte, kRecordHeaderBytes>;
// Fills in `sums_checksum` itself.
RecordHeaderBytes encode(const RecordHeader& header, std::span<const Checksum> checksums);
// Nothing if this is no record header; does not look at salt and place.
std::optional<RecordHeader> decode_record_header(BufferView bytes);

// The checksum of a table of block checksums.
Checksum checksum_of_table(std::span<const Checksum> checksums);

}  // namespace dfs::storage
