// The extents of a file, and what the chunks they name owe to them.
//
//   extents of a file never overlap, are not empty and end at or before its size
//   InodeRecord::allocated = the sum of their lengths
//   ChunkRecord::references = how many extents, of all files, name the chunk
#pragma once

#include <cstdint>
#include <vector>

#include "server/meta/ops/operation.h"

namespace dfs::ops {

// How often an operation makes extents name a chunk, and stops them naming it.
// Only the sum counts, at the end: a chunk that is replaced and named again by
// the same operation stays.
class ChunkReferences {
 public:
  // One more extent names bytes of `chunk` that end at `end`.
  void add(ChunkId chunk, std::uint32_t end) { changes_.push_back({chunk, 1, end}); }
  void drop(ChunkId chunk) { changes_.push_back({chunk, -1, 0}); }
  // `chunk` has been uploaded; if nothing names it after all it is garbage.
  void mention(ChunkId chunk, std::uint32_t end) { changes_.push_back({chunk, 0, end}); }

  // Brings Chunks and Garbage up to date and forgets the changes. Once an operation.
  //   stale    a chunk that is garbage already has been named
  //   io       the bytes of a chunk are named that was given up
  //   corrupt  a chunk has fewer references than extents that named it
  //   unsupported  it would have more than can be counted
  Result<void> apply(Transaction& txn, const OperationContext& context);

 private:
  struct Change {
    ChunkId chunk;
    std::int64_t references = 0;
    std::uint32_t end = 0;
  };
  static Result<void> apply_one(Transaction& txn, const OperationContext& context,
                                const Change& change);

  std::vector<Change> changes_;
};

// Bytes of a file, [from, to).
struct FileSpan {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

// Makes a hole of `span`, splitting what lies across its ends. `file` is the
// record of `inode`, being edited; its size stays.
Result<void> punch_hole(Transaction& txn, InodeId inode, InodeRecord& file, FileSpan span,
                        ChunkReferences& references);
// Puts `extent` where nothing lies. The file grows to its end.
void fill_hole(Transaction& txn, InodeId inode, InodeRecord& file, const Extent& extent,
               ChunkReferences& references);
// The same if what lies before it goes on with it in the same chunk: the two
// become one extent. False: they do not, and nothing was done.
Result<bool> prolong(Transaction& txn, InodeId inode, InodeRecord& file, const Extent& extent);
// Puts `extent` in place of whatever was there. The file grows to its end.
Result<void> lay_extent(Transaction& txn, InodeId inode, InodeRecord& file, const Extent& extent,
                        ChunkReferences& references);

struct ExtentPage {
  std::vector<Extent> extents;
  bool complete = false;  // nothing follows there
};
// The extents that overlap `span`, whole and in order, at most `extents_max`.
Result<ExtentPage> read_extents(Transaction& txn, InodeId inode, const InodeRecord& file,
                                FileSpan span, std::size_t extents_max);

// Drops at most `extents_max` extents of a file that is going away, first ones
// first, and settles its chunks.
Result<Purge> drop_extents(Transaction& txn, const OperationContext& context, InodeId inode,
                           InodeRecord& file, std::size_t extents_max);

// Sets the size: what lies behind it is dropped, what is missing is a hole.
Result<void> resize(Transaction& txn, const OperationContext& context, InodeId inode,
                    InodeRecord& file, std::uint64_t size);

}  // namespace dfs::ops
