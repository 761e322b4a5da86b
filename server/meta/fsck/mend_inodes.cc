// Findings about what an inode says of itself, and about inodes without names.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "server/meta/fsck/mend_steps.h"
#include "server/meta/ops/operations.h"

namespace dfs::fsck {
namespace {

using Done = std::optional<std::string>;

Result<Done> mend_root(MendContext& context) {
  const InodeRecord* root = TRY(context.txn.find<tables::Inodes>(kRootInode));
  if (root != nullptr) return Done{};
  InodeRecord record;
  record.type = FileType::directory;
  record.mode = 0755;
  record.nlink = 2;
  record.atime = record.mtime = record.ctime = record.btime = context.now;
  record.parent = kRootInode;
  record.generation = 1;
  record.change = record.data_change = 1;
  record.next_cookie = ops::kFirstCookie;
  context.txn.put<tables::Inodes>(kRootInode, std::move(record));
  ++context.row.totals().inodes;
  return "made one, which belongs to root, with mode 0755";
}

Result<Done> mend_cookie(MendContext& context, const Finding& finding) {
  InodeRecord* directory = TRY(edit_directory(context, finding.inode));
  if (directory == nullptr || directory->next_cookie > finding.offset) return Done{};
  const auto last = TRY(context.txn.last_row<tables::Listing>(
      {finding.inode, 0}, {InodeId{finding.inode.value() + 1}, 0}));
  directory->next_cookie = std::max(finding.offset, last ? last->key.cookie : 0) + 1;
  return "corrected that";
}

Result<Done> end_orphan(MendContext& context, InodeId inode) {
  const OrphanRecord* orphan = TRY(readable<tables::Orphans>(context.txn, inode));
  if (orphan == nullptr) return Done{};
  context.txn.erase<tables::Orphans>(inode);
  context.orphans_ended.push_back(inode);
  return "it is not purged any more";
}

Result<Done> mend_links(MendContext& context, const Finding& finding) {
  InodeRecord* record = TRY(context.txn.edit<tables::Inodes>(finding.inode));
  if (record == nullptr) return Done{};
  record->nlink = corrected(record->nlink, finding.delta);
  context.inodes_changed.push_back(finding.inode);
  if (record->nlink > 0) (void)TRY(end_orphan(context, finding.inode));
  return "corrected the number";
}

// Whoever has found a way to name it meanwhile has changed its links.
Result<Done> mend_nameless(MendContext& context, const Finding& finding) {
  InodeRecord* record = TRY(context.txn.edit<tables::Inodes>(finding.inode));
  const OrphanRecord* orphan = TRY(context.txn.find<tables::Orphans>(finding.inode));
  if (record == nullptr || orphan != nullptr || record->nlink == 0) return Done{};
  if (!record->is_directory() && std::int64_t{record->nlink} != -finding.delta) return Done{};
  if (!record->is_directory()) record->nlink = 1;
  const std::string path = TRY(adopt(context, finding.inode, *record));
  return fmt::format("it is {} now", path);
}

Result<Done> mend_forgotten(MendContext& context, const Finding& finding) {
  const InodeRecord* record = TRY(context.txn.find<tables::Inodes>(finding.inode));
  const OrphanRecord* orphan = TRY(readable<tables::Orphans>(context.txn, finding.inode));
  if (record == nullptr || record->nlink > 0 || orphan != nullptr) return Done{};
  context.txn.put<tables::Orphans>(finding.inode, {context.now});
  context.orphans_made.push_back(finding.inode);
  return "it is purged once no session holds it";
}

Result<Done> mend_orphan(MendContext& context, const Finding& finding) {
  const InodeRecord* record = TRY(context.txn.find<tables::Inodes>(finding.inode));
  const bool is_right = record != nullptr && record->nlink == 0;
  if (is_right) return Done{};
  return end_orphan(context, finding.inode);
}

Result<Done> mend_xattr(MendContext& context, const Finding& finding) {
  const InodeRecord* record = TRY(context.txn.find<tables::Inodes>(finding.inode));
  if (record != nullptr) return Done{};
  context.txn.erase<tables::Xattrs>({finding.inode, finding.name});
  return "removed the attribute";
}

// A number in the inode's row.
Result<Done> mend_number(MendContext& context, const Finding& finding) {
  InodeRecord* record = TRY(context.txn.edit<tables::Inodes>(finding.inode));
  if (record == nullptr) return Done{};
  switch (finding.problem) {
    case Problem::wrong_entries:
      record->entries = corrected(record->entries, finding.delta);
      break;
    case Problem::wrong_subdirectories:
      record->nlink = corrected(record->nlink, finding.delta);
      break;
    case Problem::wrong_allocated:
      record->allocated = corrected(record->allocated, finding.delta);
      break;
    case Problem::wrong_xattrs:
      record->xattrs = corrected(record->xattrs, finding.delta);
      break;
    case Problem::wrong_size:
      record->size = record->target.size();
      break;
    default:
      return Done{};
  }
  context.inodes_changed.push_back(finding.inode);
  return "corrected the number";
}

}  // namespace

Result<Done> mend_inodes(MendContext& context, const Finding& finding) {
  switch (finding.problem) {
    case Problem::no_root: return mend_root(context);
    case Problem::cookie_given_again: return mend_cookie(context, finding);
    case Problem::wrong_links: return mend_links(context, finding);
    case Problem::nameless: return mend_nameless(context, finding);
    case Problem::forgotten: return mend_forgotten(context, finding);
    case Problem::named_orphan:
    case Problem::orphan_of_nothing:
      return mend_orphan(context, finding);
    case Problem::xattr_of_nothing: return mend_xattr(context, finding);
    default: return mend_number(context, finding);
  }
}

}  // namespace dfs::fsck
