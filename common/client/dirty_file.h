// The bytes of one file that were written here and are not committed yet:
// which ranges, in which pending chunks.
//
//   write()  appends to an open chunk; a full one is sealed
//   chunks that were uploaded are committed: to_commit(), committed()
//
// Which chunk a write goes to: one that it continues; else a small write
// joins the chunk that collects scattered ones, and a large one starts its
// own. A chunk that is one run of the file ends at the file's next multiple
// of chunk_size, so that large files lie in whole chunks.
//
// Invariants: a range belongs to exactly one chunk, the one written last;
//             sum of live_bytes == ranges().bytes();
//             a chunk is kept while live_bytes > 0 or an upload is on its way.
// Pure but for the memory it holds; not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/client/pending_chunk.h"
#include "common/client/range_map.h"
#include "common/client/write_buffer.h"
#include "common/rpc/types.h"

namespace dfs {

class DirtyFile {
 public:
  using Ranges = RangeMap<PendingChunk*>;
  using Range = Ranges::Range;

  explicit DirtyFile(WriteBuffer& buffer, InodeId inode = {}) : buffer_(buffer), inode_(inode) {}
  // What a former process had of the file; before anything else.
  void restore(const std::vector<WriteJournal::Former>& former, SteadyTime now);

  // Blocks that write() may need for this; 0 when it continues an open chunk
  // that has room and lies over nothing that is dirty already.
  std::size_t blocks_needed(std::uint64_t offset, std::size_t length,
                            std::uint32_t chunk_size) const;
  // Takes `data`. Chunks that became full are added to `sealed`.
  void write(std::uint64_t offset, BufferView data, std::uint32_t chunk_size, SteadyTime now,
             BlockList& fresh, std::vector<PendingChunkPtr>& sealed);
  // Forgets what was written to [offset, offset + length).
  void cut(std::uint64_t offset, std::uint64_t length);
  void clear() { cut(0, UINT64_MAX); }

  // Seals the open chunks born at or before `born_until`.
  void seal(SteadyTime born_until, std::vector<PendingChunkPtr>& sealed);

  // The live ranges of uploaded chunks, at most `ranges_max`.
  std::vector<Range> to_commit(std::size_t ranges_max) const;
  // These ranges are part of the file now (whatever has been written over them since stays dirty).
  void committed(const std::vector<Range>& ranges);
  // The upload or commit of this chunk failed for good: its ranges are forgotten.
  void drop(PendingChunk& chunk);
  // To be called when a chunk leaves `uploading`: forgets it if nothing refers to it.
  void release_if_dead(PendingChunk& chunk);

  // What the journal has to say of the file besides its bytes. The time of a write is set
  // before it.
  void set_facts(const UnsentFacts& facts);
  const UnsentFacts& facts() const { return facts_; }
  // Where what is done here is recorded too; may be null. It says of each byte whether it
  // is dirty, and all facts but the operation that changes the file.
  WriteLog* log() const { return buffer_.log(); }

  const Ranges& ranges() const { return ranges_; }
  const std::vector<PendingChunkPtr>& chunks() const { return chunks_; }
  bool empty() const { return chunks_.empty(); }
  // Serial of the newest chunk; everything written so far is in chunks up to it.
  std::uint64_t last_serial() const { return last_serial_; }
  bool has_chunk(ChunkPhase phase) const;
  // True while a chunk up to `serial` waits for its upload or commit.
  bool pending_through(std::uint64_t serial) const;

 private:
  void spread(std::uint64_t offset, BufferView data, std::uint32_t chunk_size, SteadyTime now,
              BlockList& fresh, std::vector<PendingChunkPtr>& sealed);
  void log_restored();
  PendingChunk& chunk_for(std::uint64_t offset, std::size_t length, SteadyTime now);
  PendingChunk* continued_by(std::uint64_t offset) const;
  void append(std::uint64_t offset, BufferView data, std::uint32_t chunk_size, SteadyTime now,
              BlockList& fresh, std::vector<PendingChunkPtr>& sealed);
  void seal_one(PendingChunk& chunk, std::vector<PendingChunkPtr>& sealed);
  void lost(const Range& range);
  // The same of what is not dirty any more.
  void settled(const Range& range);
  void log_settled();
  void log_facts();
  void forget_dead();

  WriteBuffer& buffer_;
  const InodeId inode_;
  UnsentFacts facts_;
  UnsentFacts logged_facts_;
  WriteLog::Hold logged_;  // of the write at hand
  std::vector<LogRange> settled_;
  Ranges ranges_;
  std::vector<PendingChunkPtr> chunks_;
  std::uint64_t last_serial_ = 0;
  bool some_dead_ = false;
};

}  // namespace dfs
