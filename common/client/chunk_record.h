// What the journal has of one pending chunk: its blocks, and the runs of its file that
// are alive in it. Without a journal nothing is recorded.
//
// Guarded by the lock of its inode's state. Ends after the chunk has given back its blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "common/client/write_journal.h"

namespace dfs {

class ChunkRecord {
 public:
  // `journal` may be null, and outlives the record.
  ChunkRecord(WriteJournal* journal, InodeId inode, const UnsentFacts& facts);
  // Of a former process.
  ChunkRecord(WriteJournal& journal, const WriteJournal::Former& former);
  ~ChunkRecord();
  ChunkRecord(const ChunkRecord&) = delete;
  ChunkRecord& operator=(const ChunkRecord&) = delete;

  void set_facts(const UnsentFacts& facts);
  void owns(const std::byte* block, std::size_t index);
  // Bytes are in the chunk from `run.chunk_offset` on.
  void appended(const WriteJournal::Run& run);
  // Those at [chunk_offset, chunk_offset + length) do not count any more.
  void lost(std::uint64_t chunk_offset, std::uint64_t length);

 private:
  using Index = WriteJournal::Index;
  bool records() const { return slot_ != WriteJournal::kNone; }

  WriteJournal* const journal_;
  const Index slot_;
  std::map<std::uint32_t, Index> runs_;  // by where they begin in the chunk
};

}  // namespace dfs
