// Findings about names.
#include <algorithm>

#include <fmt/format.h>

#include "server/meta/fsck/mend_steps.h"

namespace dfs::fsck {
namespace {

using Done = std::optional<std::string>;

// More steps up than any path has; a circle of more is left alone.
constexpr int kStepsMax = 65'536;

// The entry that was found, if it is still there.
Result<const DirentRecord*> same_entry(MendContext& context, InodeId parent, const std::string& name,
                                       InodeId inode) {
  const DirentRecord* entry = TRY(readable<tables::Dirents>(context.txn, {parent, name}));
  if (entry == nullptr || entry->inode != inode) return nullptr;
  return entry;
}

Result<Done> mend_dangling(MendContext& context, const Finding& finding) {
  const DirentRecord* entry =
      TRY(same_entry(context, finding.parent, finding.name, finding.inode));
  const InodeRecord* inode = TRY(context.txn.find<tables::Inodes>(finding.inode));
  if (entry == nullptr || inode != nullptr) return Done{};
  TRY(remove_name(context, finding.parent, finding.name, *entry));
  return "removed the name";
}

Result<Done> mend_name_in_nothing(MendContext& context, const Finding& finding) {
  const DirentRecord* entry =
      TRY(same_entry(context, finding.parent, finding.name, finding.inode));
  const InodeRecord* directory = TRY(context.txn.find<tables::Inodes>(finding.parent));
  InodeRecord* child = TRY(context.txn.edit<tables::Inodes>(finding.inode));
  if (entry == nullptr || (directory != nullptr && directory->is_directory())) return Done{};
  TRY(remove_name(context, finding.parent, finding.name, *entry));
  if (child == nullptr) return "removed the name: its inode does not exist either";
  const std::string path = TRY(adopt(context, finding.inode, *child));
  return fmt::format("it is {} now", path);
}

Result<Done> mend_type(MendContext& context, const Finding& finding) {
  const DirentRecord* found =
      TRY(same_entry(context, finding.parent, finding.name, finding.inode));
  const InodeRecord* inode = TRY(context.txn.find<tables::Inodes>(finding.inode));
  if (found == nullptr || inode == nullptr || inode->type == found->type) return Done{};
  DirentRecord* entry = TRY(context.txn.edit<tables::Dirents>({finding.parent, finding.name}));
  entry->type = inode->type;
  TRY(list_name(context, finding.parent, finding.name));
  return "it says the type of its inode now";
}

Result<Done> mend_unlisted(MendContext& context, const Finding& finding) {
  const DirentRecord* entry =
      TRY(same_entry(context, finding.parent, finding.name, finding.inode));
  if (entry == nullptr) return Done{};
  const ListingRecord* listed =
      TRY(readable<tables::Listing>(context.txn, {finding.parent, entry->cookie}));
  if (listed != nullptr && listed->name == finding.name && listed->inode == entry->inode &&
      listed->type == entry->type)
    return Done{};
  TRY(list_name(context, finding.parent, finding.name));
  return "listed it";
}

Result<Done> mend_listed_nothing(MendContext& context, const Finding& finding) {
  Transaction& txn = context.txn;
  const ListingKey place{finding.parent, finding.cookie};
  const ListingRecord* listed = TRY(readable<tables::Listing>(txn, place));
  if (listed == nullptr || listed->name != finding.name) return Done{};
  const auto found = txn.find<tables::Dirents>({finding.parent, finding.name});
  const bool does_not_hold = !found && found.error().code == Errc::corrupt;
  if (!found && !does_not_hold) return fail(found.error());
  const DirentRecord* entry = does_not_hold ? nullptr : *found;
  if (entry != nullptr && entry->cookie == finding.cookie) return Done{};
  InodeRecord* directory = TRY(edit_directory(context, finding.parent));
  const InodeRecord* child = TRY(readable<tables::Inodes>(txn, listed->inode));
  if (entry != nullptr || directory == nullptr || child == nullptr) {
    txn.erase<tables::Listing>(place);
    return "removed the listing entry";
  }
  txn.put<tables::Dirents>({finding.parent, finding.name},
                           {listed->inode, child->type, finding.cookie});
  TRY(list_name(context, finding.parent, finding.name));
  // A row that does not hold was counted all the same.
  if (!does_not_hold) {
    ++directory->entries;
    directory->nlink += child->type == FileType::directory ? 1 : 0;
  }
  return "it can be looked up again";
}

Result<Done> mend_second_name(MendContext& context, const Finding& finding) {
  const DirentRecord* kept =
      TRY(same_entry(context, finding.other_parent, finding.other_name, finding.inode));
  const DirentRecord* other =
      TRY(same_entry(context, finding.parent, finding.name, finding.inode));
  InodeRecord* directory = TRY(edit_directory(context, finding.inode));
  if (kept == nullptr || other == nullptr || directory == nullptr) return Done{};
  TRY(remove_name(context, finding.parent, finding.name, *other));
  directory->parent = finding.other_parent;
  context.inodes_changed.push_back(finding.inode);
  return "removed the second one";
}

Result<Done> mend_parent(MendContext& context, const Finding& finding) {
  const DirentRecord* entry =
      TRY(same_entry(context, finding.parent, finding.name, finding.inode));
  InodeRecord* directory = TRY(edit_directory(context, finding.inode));
  if (entry == nullptr || directory == nullptr || directory->parent == finding.parent) return Done{};
  directory->parent = finding.parent;
  context.inodes_changed.push_back(finding.inode);
  return "corrected that";
}

Result<bool> lies_below_itself(Transaction& txn, InodeId directory) {
  InodeId at = directory;
  for (int step = 0; step < kStepsMax; ++step) {
    const InodeRecord* record = TRY(readable<tables::Inodes>(txn, at));
    if (record == nullptr || at == kRootInode) return false;
    at = record->parent;
    if (at == directory) return true;
  }
  return false;
}

Result<Done> mend_circle(MendContext& context, const Finding& finding) {
  const DirentRecord* entry =
      TRY(same_entry(context, finding.parent, finding.name, finding.inode));
  InodeRecord* directory = TRY(edit_directory(context, finding.inode));
  const bool is_circle = TRY(lies_below_itself(context.txn, finding.inode));
  if (entry == nullptr || directory == nullptr || !is_circle) return Done{};
  TRY(remove_name(context, finding.parent, finding.name, *entry));
  const std::string path = TRY(adopt(context, finding.inode, *directory));
  return fmt::format("it is {} now", path);
}

}  // namespace

Result<Done> mend_names(MendContext& context, const Finding& finding) {
  switch (finding.problem) {
    case Problem::dangling_name: return mend_dangling(context, finding);
    case Problem::name_in_nothing: return mend_name_in_nothing(context, finding);
    case Problem::wrong_name_type: return mend_type(context, finding);
    case Problem::unlisted_name: return mend_unlisted(context, finding);
    case Problem::listed_nothing: return mend_listed_nothing(context, finding);
    case Problem::second_name: return mend_second_name(context, finding);
    case Problem::wrong_parent: return mend_parent(context, finding);
    case Problem::circle: return mend_circle(context, finding);
    default: return Done{};
  }
}

}  // namespace dfs::fsck
