#include "server/meta/fsck/mend_steps.h"

#include <utility>

#include <fmt/format.h>

#include "server/meta/ops/operations.h"

namespace dfs::fsck {
namespace {

constexpr std::string_view kLostAndFound = "lost+found";
constexpr std::uint32_t kLostAndFoundMode = 0700;

void changed(MendContext& context, InodeId inode, InodeRecord& record) {
  record.ctime = context.now;
  ++record.change;
  context.inodes_changed.push_back(inode);
}

void add_name(MendContext& context, InodeId parent, InodeRecord& directory, std::string_view name,
              InodeId inode, FileType type) {
  const std::uint64_t cookie = directory.next_cookie++;
  context.txn.put<tables::Dirents>({parent, name}, {inode, type, cookie});
  context.txn.put<tables::Listing>({parent, cookie}, {inode, type, std::string(name)});
  ++directory.entries;
  directory.nlink += type == FileType::directory;
  directory.mtime = context.now;
  ++directory.data_change;
  changed(context, parent, directory);
}

// The directory /lost+found to change; made if it is missing.
Result<InodeId> find_lost_and_found(MendContext& context) {
  Transaction& txn = context.txn;
  const DirentRecord* entry = TRY(txn.find<tables::Dirents>({kRootInode, kLostAndFound}));
  if (entry != nullptr) {
    const InodeId inode = entry->inode;
    const InodeRecord* directory = TRY(edit_directory(context, inode));
    if (directory == nullptr) return fail(Errc::corrupt, "/lost+found is no directory");
    return inode;
  }
  InodeRecord* root = TRY(edit_directory(context, kRootInode));
  if (root == nullptr) return fail(Errc::corrupt, "there is no root to make /lost+found in");
  const InodeName made = context.row.next_inode();
  add_name(context, kRootInode, *root, kLostAndFound, made.inode, FileType::directory);
  InodeRecord record;
  record.type = FileType::directory;
  record.mode = kLostAndFoundMode;
  record.nlink = 2;
  record.atime = record.mtime = record.ctime = record.btime = context.now;
  record.parent = kRootInode;
  record.generation = made.generation;
  record.change = record.data_change = 1;
  record.next_cookie = ops::kFirstCookie;
  txn.put<tables::Inodes>(made.inode, std::move(record));
  ++context.row.totals().inodes;
  return made.inode;
}

}  // namespace

Result<InodeRecord*> edit_directory(MendContext& context, InodeId inode) {
  const InodeRecord* record = TRY(readable<tables::Inodes>(context.txn, inode));
  if (record == nullptr || !record->is_directory()) return nullptr;
  return context.txn.edit<tables::Inodes>(inode);
}

Result<void> remove_name(MendContext& context, InodeId parent, std::string_view name,
                         const DirentRecord& entry) {
  const DirentRecord removed = entry;
  context.txn.erase<tables::Dirents>({parent, name});
  const ListingKey place{parent, removed.cookie};
  const ListingRecord* listed = TRY(readable<tables::Listing>(context.txn, place));
  if (listed == nullptr || listed->name == name) context.txn.erase<tables::Listing>(place);
  InodeRecord* directory = TRY(edit_directory(context, parent));
  if (directory == nullptr) return {};
  directory->entries = corrected(directory->entries, -1);
  // The names of subdirectories are counted by what they lead to.
  const InodeRecord* child = TRY(readable<tables::Inodes>(context.txn, removed.inode));
  const FileType type = child != nullptr ? child->type : removed.type;
  if (type == FileType::directory) directory->nlink = corrected(directory->nlink, -1);
  directory->mtime = context.now;
  ++directory->data_change;
  changed(context, parent, *directory);
  return {};
}

Result<void> list_name(MendContext& context, InodeId parent, std::string_view name) {
  DirentRecord* entry = TRY(context.txn.edit<tables::Dirents>({parent, name}));
  InodeRecord* directory = TRY(edit_directory(context, parent));
  const ListingRecord* there = TRY(readable<tables::Listing>(context.txn, {parent, entry->cookie}));
  if (directory != nullptr && there != nullptr && there->name != name)
    entry->cookie = directory->next_cookie++;
  context.txn.put<tables::Listing>({parent, entry->cookie},
                                   {entry->inode, entry->type, std::string(name)});
  if (directory != nullptr) changed(context, parent, *directory);
  return {};
}

Result<std::string> adopt(MendContext& context, InodeId inode, InodeRecord& record) {
  const FileType type = record.type;
  const InodeId home = TRY(find_lost_and_found(context));
  if (home == inode) return fail(Errc::corrupt, "/lost+found itself has been lost");
  InodeRecord* directory = TRY(edit_directory(context, home));
  if (directory == nullptr) return fail(Errc::corrupt, "/lost+found is no directory");
  std::string name = fmt::format("#{}", inode.value());
  // Somebody may have given that name to another one.
  for (int copy = 2;; ++copy) {
    const DirentRecord* taken = TRY(context.txn.find<tables::Dirents>({home, name}));
    if (taken == nullptr) break;
    name = fmt::format("#{}-{}", inode.value(), copy);
  }
  add_name(context, home, *directory, name, inode, type);
  InodeRecord* adopted = TRY(context.txn.edit<tables::Inodes>(inode));
  adopted->parent = home;
  changed(context, inode, *adopted);
  return fmt::format("/{}/{}", kLostAndFound, name);
}

Result<void> drop_reference(MendContext& context, ChunkId chunk) {
  ChunkRecord* record = TRY(editable<tables::Chunks>(context.txn, chunk));
  if (record == nullptr) return {};
  if (record->references > 1) {
    --record->references;
    return {};
  }
  return make_garbage(context, chunk, record->length);
}

Result<void> make_garbage(MendContext& context, ChunkId chunk, std::uint32_t length) {
  Totals& totals = context.row.totals();
  context.txn.erase<tables::Chunks>(chunk);
  totals.chunks = corrected(totals.chunks, -1);
  totals.chunk_bytes = corrected(totals.chunk_bytes, -std::int64_t{length});
  const GarbageRecord* present = TRY(readable<tables::Garbage>(context.txn, chunk));
  const GroupRecord* group = TRY(readable<tables::Groups>(context.txn, chunk.group()));
  if (present != nullptr || group == nullptr || group->members.empty()) return {};
  GarbageRecord garbage{.servers = {}, .length = length};
  for (const GroupMember& member : group->members) garbage.servers.push_back(member.server);
  context.txn.put<tables::Garbage>(chunk, std::move(garbage));
  ++totals.garbage;
  return {};
}

}  // namespace dfs::fsck
