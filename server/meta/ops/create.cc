// create: regular files (with or without a name), directories, fifos, sockets,
// devices; and symlink.
#include "server/meta/ops/directory.h"
#include "server/meta/ops/inode_acl.h"
#include "server/meta/ops/inodes.h"
#include "server/meta/ops/names.h"
#include "server/meta/ops/operations.h"

namespace dfs::ops {
namespace {

Result<void> check_type(const CreateArgs& args) {
  if (args.unnamed && (args.type != FileType::regular || !args.open))
    return fail(Errc::invalid, "only a regular file that is held open goes without a name");
  switch (args.type) {
    case FileType::regular:
      return {};
    case FileType::directory:
    case FileType::fifo:
    case FileType::socket:
    case FileType::character_device:
    case FileType::block_device:
      if (args.open) return fail(Errc::invalid, "only regular files are created open");
      return {};
    case FileType::symlink:
      break;
  }
  return fail(Errc::invalid, "create() does not make this type");
}

bool is_device(FileType type) {
  return type == FileType::character_device || type == FileType::block_device;
}

// A new inode as its parent and creator make it.
InodeRecord new_record(const OperationContext& context, InodeId parent,
                       const InodeRecord& directory, FileType type, std::uint32_t mode) {
  InodeRecord record;
  record.type = type;
  record.mode = mode & kModeBits;
  record.uid = context.caller.uid;
  record.gid = context.caller.gid;
  if ((directory.mode & kSetGid) != 0) {
    record.gid = directory.gid;
    if (type == FileType::directory) record.mode |= kSetGid;
  }
  record.nlink = 1;
  if (type == FileType::directory) {
    record.nlink = 2;
    record.next_cookie = kFirstCookie;
  }
  record.atime = record.mtime = record.ctime = record.btime = context.now;
  record.parent = parent;
  record.consistency = directory.consistency;
  record.change = 1;
  record.data_change = 1;
  return record;
}

// Names `record` in `parent` and stores it with the lists it inherits.
Result<EntryResult> add_inode(Transaction& txn, const OperationContext& context, InodeId parent,
                              InodeRecord& directory, std::string_view name, InodeRecord record,
                              Inherited inherited = {}) {
  TRY(check_room(context));
  const InodeName id = context.ids.next_inode();
  record.generation = id.generation;
  TRY(put_inherited(txn, id.inode, record, std::move(inherited)));
  TRY(add_entry(txn, context, parent, directory, name, {id.inode, record.type}));
  EntryResult result{attributes_of(id.inode, record), attributes_of(parent, directory)};
  txn.put<tables::Inodes>(id.inode, std::move(record));
  ++context.totals.inodes;
  return result;
}

// What `args` ask for, in `directory`.
Result<InodeRecord> asked_record(Transaction& txn, const OperationContext& context,
                                 const CreateArgs& args, const InodeRecord& directory,
                                 std::uint32_t mode) {
  InodeRecord record = new_record(context, args.parent, directory, args.type, mode);
  if (is_device(args.type)) record.rdev = args.rdev;
  if (args.type == FileType::regular) {
    const Policy policy = TRY(effective_policy(txn, context, args.parent));
    record.replicas = policy.replicas;
    record.chunk_size = policy.chunk_size;
  }
  return record;
}

Result<EntryResult> make(Transaction& txn, const OperationContext& context,
                         const CreateArgs& args, InodeRecord& directory) {
  Inherited inherited = TRY(inherit(txn, args, directory));
  InodeRecord record = TRY(asked_record(txn, context, args, directory, inherited.mode));
  return add_inode(txn, context, args.parent, directory, args.name, std::move(record),
                   std::move(inherited));
}

// An orphan from the start. Its maker holds it once the operation is done, so it
// is to be looked at afterwards.
Result<Attributes> make_unnamed(Transaction& txn, const OperationContext& context,
                                const CreateArgs& args, const InodeRecord& directory) {
  TRY(check_room(context));
  Inherited inherited = TRY(inherit(txn, args, directory));
  InodeRecord record = TRY(asked_record(txn, context, args, directory, inherited.mode));
  record.nlink = 0;
  const InodeName id = context.ids.next_inode();
  record.generation = id.generation;
  TRY(put_inherited(txn, id.inode, record, std::move(inherited)));
  const Attributes made = attributes_of(id.inode, record);
  txn.put<tables::Inodes>(id.inode, std::move(record));
  txn.put<tables::Orphans>(id.inode, {context.now, /*unnamed=*/true});
  context.unfinished.push_back(id.inode);
  ++context.totals.inodes;
  return made;
}

OpenResult opened_empty(const Attributes& made) {
  OpenResult opened;
  opened.attributes = made;
  opened.extents_complete = true;
  opened.created = true;
  return opened;
}

// The name is taken: answers with what has it, where that is allowed.
Result<MetaResult> take_existing(Transaction& txn, const OperationContext& context,
                                 const CreateArgs& args, const DirentRecord& entry) {
  if (args.exclusive || args.type != FileType::regular) return fail(Errc::exists);
  if (entry.type == FileType::directory) return fail(Errc::is_directory);
  if (entry.type != FileType::regular) return fail(Errc::exists);
  if (args.open) {
    OpenResult opened = TRY(open(txn, context, {entry.inode, args.truncate}));
    return MetaResult(std::move(opened));
  }
  const InodeRecord* record = TRY(find_inode(txn, context, entry.inode));
  return MetaResult(EntryResult{attributes_of(entry.inode, *record), std::nullopt});
}

}  // namespace

Result<MetaResult> create(Transaction& txn, const OperationContext& context,
                          const CreateArgs& args) {
  TRY(check_type(args));
  if (!args.unnamed) TRY(check_name(args.name));
  if (is_dots(args.name)) return fail(Errc::exists);
  const InodeRecord* parent = TRY(find_directory(txn, context, args.parent));
  if (parent->nlink == 0) return fail(Errc::not_found, "the directory has been removed");
  if (args.unnamed) {
    const Attributes made = TRY(make_unnamed(txn, context, args, *parent));
    return MetaResult(opened_empty(made));
  }
  const DirentRecord* entry = TRY(find_entry(txn, args.parent, args.name));
  if (entry != nullptr) return take_existing(txn, context, args, *entry);

  InodeRecord* directory = TRY(edit_directory(txn, context, args.parent));
  EntryResult made = TRY(make(txn, context, args, *directory));
  if (!args.open) return MetaResult(std::move(made));
  OpenResult opened = opened_empty(made.attributes);
  opened.parent = made.parent;
  return MetaResult(std::move(opened));
}

Result<EntryResult> symlink(Transaction& txn, const OperationContext& context,
                            const SymlinkArgs& args) {
  TRY(check_name(args.name));
  if (is_dots(args.name)) return fail(Errc::exists);
  if (args.target.empty()) return fail(Errc::not_found);
  if (args.target.size() > kSymlinkMax) return fail(Errc::name_too_long);
  if (args.target.find('\0') != std::string::npos)
    return fail(Errc::invalid, "a link's target contains NUL");
  InodeRecord* directory = TRY(edit_directory(txn, context, args.parent));
  const DirentRecord* entry = TRY(find_entry(txn, args.parent, args.name));
  if (entry != nullptr) return fail(Errc::exists);

  InodeRecord record = new_record(context, args.parent, *directory, FileType::symlink, 0777);
  record.target = args.target;
  record.size = args.target.size();
  return add_inode(txn, context, args.parent, *directory, args.name, std::move(record));
}

}  // namespace dfs::ops

namespace dfs {

void make_root(Transaction& txn, const OperationContext& context) {
  InodeRecord record =
      ops::new_record(context, kRootInode, InodeRecord{}, FileType::directory, 0755);
  record.generation = 1;
  txn.put<tables::Inodes>(kRootInode, std::move(record));
  ++context.totals.inodes;
}

}  // namespace dfs
