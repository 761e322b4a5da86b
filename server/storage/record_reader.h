// Reads chunk bytes out of a record and vouches for them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/checksum.h"
#include "common/base/result.h"
#include "server/storage/chunk_index.h"
#include "server/storage/disk.h"

namespace dfs::storage {

// Part of a chunk, as it leaves the store.
struct ChunkBytes {
  std::shared_ptr<const void> owner;  // of the memory
  BufferView bytes;
  // whole_blocks: the stored checksum of each block, for whoever uses the
  // bytes to check. Otherwise the store has checked the blocks they are part
  // of, and this is one checksum over `bytes`.
  std::vector<Checksum> checksums;
  bool whole_blocks = false;
};

enum class ReadFrom {
  disk,    // waits if it must
  memory,  // `again` if the bytes are not in the page cache
};

struct ReadRange {
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
};

// The bytes of `range`, which must not be empty, of the record at `place`.
//   invalid    the range is not inside the chunk
//   not_found  the record was deleted
//   corrupt    the record is not what was written; the text says how
Result<ChunkBytes> read_record(const DiskFile& file, ChunkId chunk, const ChunkPlace& place,
                               const ReadRange& range, ReadFrom from);

// Whole blocks of a chunk as bytes of a segment's file.
struct BlockPlace {
  std::filesystem::path file;
  std::uint64_t offset = 0;
  std::vector<Checksum> checksums;
};

// Header and block checksums of the record at `place`; errors as above.
struct RecordTable {
  RecordHeader header;
  std::vector<Checksum> checksums;
};
Result<RecordTable> read_table(const DiskFile& file, ChunkId chunk, const ChunkPlace& place,
                               ReadFrom from);

}  // namespace dfs::storage
