// What a check of the metadata tables finds, and whom it tells.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/rpc/types.h"

namespace dfs::fsck {

enum class Problem : std::uint8_t {
  // Rows by themselves.
  unknown_row,
  unreadable_row,
  ids_given_again,
  wrong_total,
  reply_of_nobody,
  // Names.
  no_root,
  dangling_name,        // leads to no inode
  name_in_nothing,      // lies in what is no directory
  wrong_name_type,
  unlisted_name,        // D without its E
  listed_nothing,       // E without its D
  cookie_given_again,
  wrong_entries,
  wrong_subdirectories,
  wrong_links,
  nameless,             // links, but no name
  forgotten,            // no links, no name, and nobody knows that it is to be purged
  named_orphan,
  orphan_of_nothing,
  second_name,          // of a directory
  wrong_parent,
  circle,
  // Contents.
  extent_of_nothing,
  extents_overlap,
  extent_beyond_size,
  extent_beyond_chunk,
  extent_of_unknown_group,
  wrong_allocated,
  wrong_size,
  xattr_of_nothing,
  wrong_xattrs,
  // Chunks and groups.
  missing_chunk_row,
  wrong_references,
  unused_chunk,         // its row does not hold, and no extent names it
  wrong_chunk_length,
  chunk_of_unknown_group,
  used_garbage,
  garbage_of_nobody,
  missing_of_nobody,
  chunk_given_again,    // the group would give the id once more
  bad_group,
};

struct Finding {
  Problem problem{};
  std::string text{};     // a sentence for people; names in it are raw bytes
  bool mendable = false;  // there is one right answer: mend.h knows it
  // What it is about, as far as the problem is about such things.
  InodeId inode{};
  InodeId parent{};
  std::string name{};       // in `parent`; of an extended attribute; of a total
  InodeId other_parent{};   // of a second name of the inode
  std::string other_name{};
  std::uint64_t cookie = 0;
  std::uint64_t offset = 0;  // of an extent; the largest id that is in use
  ChunkId chunk{};
  ServerId server{};
  SessionId session{};
  Sequence sequence{};
  // How much has to be added to what is stored. It stays right while operations
  // run: they change what is stored by what they change.
  std::int64_t delta = 0;
  std::uint32_t length = 0;  // of a chunk, as far as extents say
  std::uint32_t count = 0;   // of references
  std::string raw_key{};
};

class FindingSink {
 public:
  virtual ~FindingSink() = default;
  // An error ends the check, which returns it.
  virtual Result<void> found(Finding finding) = 0;
  // So many more rows have been looked at; often. The same.
  virtual Result<void> passed(std::uint64_t rows) = 0;
  // Whether anything that was found has been mended: what is counted of the
  // snapshot is then out of date.
  virtual bool has_mended() const = 0;
};

}  // namespace dfs::fsck
