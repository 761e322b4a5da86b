// A chunk in the making: bytes of one file that were written here and that
// the servers have not acknowledged yet.
//
// It is a log: what is written is appended, wherever in the file it belongs,
// so that scattered writes travel as one chunk too. It goes through its
// phases in this order (an upload that fails goes back to `sealed`):
//
//   open       bytes are added or overwritten
//   sealed     unchanging; waits for its upload
//   uploading  an upload is on its way
//   uploaded   the servers have it; a commit will name it
//   dropped    nothing refers to it any more
//
// Guarded by the lock of its inode's state (inode_state.h), but for what
// is unchanging once it is sealed: blocks, length, checksums.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/checksum.h"
#include "common/base/clock.h"
#include "common/client/chunk_record.h"
#include "common/client/write_buffer.h"
#include "common/client/write_log.h"
#include "common/rpc/run_map.h"
#include "common/rpc/storage_client.h"

namespace dfs {

enum class ChunkPhase { open, sealed, uploading, uploaded, dropped };

// How far the upload of one chunk has come. While it is `uploading` this
// belongs to the upload; else to the inode's lock.
struct UploadProgress {
  ChunkId chunk;                       // none yet: 0
  std::string capability;
  std::vector<ServerId> failed;        // members of its group that just failed
  std::vector<ServerId> avoid;         // the same of groups given up
  std::string last_problem;            // of the member that failed last
  ChunkId fallback;                    // the best copy made so far, as the next three tell
  std::vector<ServerId> stored_on;
  std::vector<ServerId> missing_on;    // members that lack it, or have not synced it
  bool synced = false;                 // on stable media on all of stored_on
  bool resume = false;                 // part of it may be there already
  bool full = false;                   // a server said that it has no space
  WallNanos written = 0;               // set with the first try; the same for all copies
  unsigned groups_tried = 0;
  unsigned refusals = 0;               // answers that another try may not cure
  std::chrono::milliseconds pause{0};  // before the next round; grows
  SteadyTime not_before{};
  std::optional<SteadyTime> failing_since;
};

class PendingChunk {
 public:
  PendingChunk(WriteBuffer& buffer, InodeId inode, const UnsentFacts& facts,
               std::uint64_t serial_number, SteadyTime now)
      : serial(serial_number), born(now), record(buffer.journal(), inode, facts), blocks_(buffer) {}
  // What a former process had, sealed.
  PendingChunk(WriteBuffer& buffer, const WriteJournal::Former& former,
               std::uint64_t serial_number, SteadyTime now);

  // Appends `data`, which takes its memory from `fresh` when a block is full.
  void append(BufferView data, BlockList& fresh);
  // Replaces bytes that are there.
  void overwrite(std::uint32_t at, BufferView data);
  // Copies [at, at + into.size()) out.
  void copy(std::uint64_t at, MutableBuffer into) const;

  std::uint32_t length() const { return length_; }
  // Bytes that fit before another block is needed.
  std::size_t tail_room() const { return blocks_.size() * WriteBuffer::kBlock - length_; }

  // Makes all checksums right; from then on nothing changes. Idempotent.
  // A chunk of several runs gets a map of them at its end (common/rpc/run_map.h).
  void finish();
  // What is uploaded: length() bytes, and the map if there is one.
  const std::vector<Checksum>& checksums() const { return checksums_; }
  std::vector<BufferView> pieces() const;
  bool has_map() const { return has_map_; }

  const std::uint64_t serial;          // order of creation in the file, from 1
  const SteadyTime born;
  ChunkPhase phase = ChunkPhase::open;
  bool sync = false;                   // upload straight to stable media
  bool contiguous = true;              // one run of the file so far
  std::uint64_t file_offset = 0;       // of its first byte
  std::uint64_t next_offset = 0;       // where a write would continue it
  std::uint32_t runs = 0;              // appended ranges
  std::vector<FileRun> places;         // of its bytes, in their order
  std::uint64_t live_bytes = 0;        // that the file's dirty ranges refer to
  UploadProgress upload;
  ChunkRecord record;
  WriteLog::Hold logged;               // the first of what is in it; if there is a log

 private:
  BlockList blocks_;
  void add_map();

  std::uint32_t length_ = 0;
  std::size_t last_block_bytes_ = 0;        // of the last block that are uploaded; 0: as length_ says
  std::vector<std::byte> map_;              // where the last block has no room for it
  bool has_map_ = false;
  bool finished_ = false;
  std::vector<Checksum> checksums_;         // of the full blocks, one each
  std::vector<std::uint32_t> stale_blocks_;  // whose checksum is to be made again
};
using PendingChunkPtr = std::shared_ptr<PendingChunk>;

}  // namespace dfs
