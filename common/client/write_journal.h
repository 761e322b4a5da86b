// What was written and is not committed, in memory that outlives the process: the
// blocks of the write buffer, and where in which file their bytes belong.
//
// A *run* is a part of a pending chunk that is one range of its file. A byte of a
// file is where the youngest run that has it says; runs overlap only while one takes
// the place of another, and when a process was killed then.
//
//   bytes are in their block, and the block is known to be the chunk's,
//     before a run that has them is recorded;
//   a run that takes the place of another is recorded before that is cut;
//   a block is free before its chunk's slot is.
//
// So whoever reads it after a kill finds every write that was acknowledged, and
// perhaps a part of those that were not.
//
// Bounds: as many chunks as blocks, and kRunsPerBlock runs for each block. A run
// beyond that is not recorded: it is lost with the process.
// Threads: any; of one chunk the lock of its inode's state guards what is recorded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/base/ids.h"
#include "common/base/lasting_memory.h"

namespace dfs {

// What is to be committed with the bytes of a file, besides them.
struct UnsentFacts {
  std::optional<WallNanos> mtime;
  bool clear_set_id = false;
  std::uint64_t data_change = 0;  // of the file that the bytes follow
  // The operation that is changing the file meanwhile, and takes some of the bytes;
  // 0: none.
  std::uint64_t changed_by = 0;
  friend bool operator==(const UnsentFacts&, const UnsentFacts&) = default;
};

class WriteJournal {
 public:
  static constexpr std::uint32_t kLayout = 1;
  static constexpr std::size_t kBlock = kBlockSize;
  static constexpr std::size_t kRunsPerBlock = 16;
  using Index = std::uint32_t;
  static constexpr Index kNone = UINT32_MAX;

  // For a buffer of `bytes_max`. `memory` must outlive the journal.
  //   wrong_version  the memory has one of another size or layout
  static Result<std::unique_ptr<WriteJournal>> open(LastingMemory& memory, std::size_t bytes_max);
  WriteJournal(const WriteJournal&) = delete;
  WriteJournal& operator=(const WriteJournal&) = delete;

  // --- the memory of the write buffer ---
  MutableBuffer blocks() const { return parts_.blocks; }
  bool is_in_use(std::size_t block) const { return owners()[block].chunk != 0; }

  // --- what is written ---
  // A slot for a new chunk of the inode.
  Index add_chunk(InodeId inode, const UnsentFacts& facts);
  // Its blocks have been given back.
  void remove_chunk(Index chunk);
  void set_facts(Index chunk, const UnsentFacts& facts);
  // The block at `block` is the chunk's `index`th; or nobody's any more.
  void own_block(const std::byte* block, Index chunk, std::size_t index);
  void free_block(const std::byte* block);

  struct Run {
    std::uint64_t offset = 0;  // in the file
    std::uint32_t length = 0;
    std::uint32_t chunk_offset = 0;
  };
  // A run of its own, younger than all; kNone: there is no room.
  Index add_run(Index chunk, const Run& run);
  // It ends later, or earlier, than it did.
  void set_length(Index run, std::uint32_t length);
  // A part of `run` at its end: as old, in a record of its own.
  Index split_off(Index run, std::uint32_t from);
  void remove_run(Index run);
  Run run(Index index) const;

  // --- what a former process has left ---
  struct Former {
    struct Piece {
      Index index;
      std::uint64_t order;
      Run run;
    };
    Index chunk = kNone;
    InodeId inode;
    UnsentFacts facts;
    std::vector<std::byte*> blocks;  // in order
    std::vector<Piece> runs;         // the oldest first
  };
  // Of which files.
  std::vector<InodeId> former_inodes() const;
  // To be taken once.
  std::vector<Former> take_former() { return std::exchange(former_, {}); }

 private:
  struct Owner {
    Index chunk;  // plus 1; 0: free
    Index index;
  };
  struct ChunkSlot {
    std::uint64_t inode;  // 0: free; stored last
    std::int64_t mtime;
    std::uint64_t data_change;
    std::uint64_t changed_by;
    std::uint32_t has_mtime;
    std::uint32_t clear_set_id;
    std::uint64_t reserved[3];
  };
  struct RunSlot {
    std::uint64_t order;  // 0: free; stored last
    std::uint64_t offset;
    std::uint32_t length;
    std::uint32_t chunk_offset;
    Index chunk;
    std::uint32_t reserved;
  };
  struct Parts {
    MutableBuffer blocks;
    MutableBuffer index;
    bool is_new = true;
  };
  struct Free {
    std::vector<Index> chunks;
    std::vector<Index> runs;
    std::uint64_t last_order = 0;
  };

  WriteJournal(const Parts& parts, std::size_t block_count);
  static std::size_t index_bytes(std::size_t block_count);

  Owner* owners() const { return reinterpret_cast<Owner*>(parts_.index.data()); }
  ChunkSlot* chunks() const { return reinterpret_cast<ChunkSlot*>(owners() + block_count_); }
  RunSlot* runs() const { return reinterpret_cast<RunSlot*>(chunks() + block_count_); }
  std::size_t runs_max() const { return block_count_ * kRunsPerBlock; }
  std::size_t block_index(const std::byte* block) const {
    return static_cast<std::size_t>(block - parts_.blocks.data()) / kBlock;
  }
  Index put_run(const RunSlot& run, std::optional<std::uint64_t> order);
  // What makes no sense is left out, and freed.
  std::vector<Former> find_former();
  static bool is_whole(const Former& former);

  const Parts parts_;
  const std::size_t block_count_;
  Guarded<Free> free_;
  std::vector<Former> former_;
};

}  // namespace dfs
