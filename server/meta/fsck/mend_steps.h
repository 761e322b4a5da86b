// What mending consists of: steps that several kinds of findings need.
//
// Each keeps the counters of what it changes as an operation would: what they
// were wrong by before, they are wrong by afterwards. Threads: one.
#pragma once

#include <string_view>

#include "server/meta/fsck/mend.h"

namespace dfs::fsck {

// The row; null if there is none or it does not hold.
template <typename Table>
Result<const typename Table::Record*> readable(Transaction& txn, typename Table::View key) {
  auto found = txn.find<Table>(key);
  if (!found && found.error().code == Errc::corrupt) return nullptr;
  return found;
}
template <typename Table>
Result<typename Table::Record*> editable(Transaction& txn, typename Table::View key) {
  auto found = txn.edit<Table>(key);
  if (!found && found.error().code == Errc::corrupt) return nullptr;
  return found;
}

// The directory to change, or null: no such directory.
Result<InodeRecord*> edit_directory(MendContext& context, InodeId inode);

// Removes the name, which leads to `entry`, with its listing entry, and
// discounts it in its directory if there is one.
Result<void> remove_name(MendContext& context, InodeId parent, std::string_view name,
                         const DirentRecord& entry);
// The row D alone leads to its inode; makes the listing entry that belongs to it.
Result<void> list_name(MendContext& context, InodeId parent, std::string_view name);

// Names the inode `#number` in /lost+found, which is made if need be. Returns the path.
//   corrupt  the root does not hold
Result<std::string> adopt(MendContext& context, InodeId inode, InodeRecord& record);

// One extent less names the chunk; the last one makes it garbage.
Result<void> drop_reference(MendContext& context, ChunkId chunk);
// Nothing names the chunk any more.
Result<void> make_garbage(MendContext& context, ChunkId chunk, std::uint32_t length);

// The sum, not below 0.
template <typename Count>
Count corrected(Count stored, std::int64_t delta) {
  const auto value = static_cast<std::int64_t>(stored) + delta;
  return value < 0 ? Count{0} : static_cast<Count>(value);
}

// Findings by what they are about. As mend().
Result<std::optional<std::string>> mend_names(MendContext& context, const Finding& finding);
Result<std::optional<std::string>> mend_inodes(MendContext& context, const Finding& finding);
Result<std::optional<std::string>> mend_chunks(MendContext& context, const Finding& finding);

}  // namespace dfs::fsck
