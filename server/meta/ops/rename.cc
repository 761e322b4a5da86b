#include "server/meta/ops/conversions.h"
#include "server/meta/ops/directory.h"
#include "server/meta/ops/inodes.h"
#include "server/meta/ops/names.h"
#include "server/meta/ops/operations.h"

namespace dfs::ops {
namespace {

// Deeper than any path that could be built: a longer walk is a circle.
constexpr int kDepthMax = 10'000'000;

// Both names, looked up. Copies: the rows change under way.
struct Names {
  DirentRecord source;
  std::optional<DirentRecord> target;
};

Result<void> check_arguments(const RenameArgs& args) {
  TRY(check_name(args.name));
  TRY(check_name(args.new_name));
  if (is_dots(args.name) || is_dots(args.new_name)) return fail(Errc::busy);
  if (args.no_replace && args.exchange) return fail(Errc::invalid);
  return {};
}

Result<Names> look_up(Transaction& txn, const RenameArgs& args) {
  Names names;
  const DirentRecord* source = TRY(find_entry(txn, args.parent, args.name));
  if (source == nullptr) return fail(Errc::not_found);
  names.source = *source;
  const DirentRecord* target = TRY(find_entry(txn, args.new_parent, args.new_name));
  if (target != nullptr) names.target = *target;
  if (target != nullptr && args.no_replace) return fail(Errc::exists);
  if (target == nullptr && args.exchange) return fail(Errc::not_found);
  return names;
}

// `invalid` if `place` is `directory` or lies below it.
Result<void> check_not_below(Transaction& txn, const OperationContext& context,
                             InodeId directory, InodeId place) {
  for (int depth = 0; depth < kDepthMax; ++depth) {
    if (place == directory) return fail(Errc::invalid, "a directory cannot move below itself");
    if (place == kRootInode) return {};
    const InodeRecord* record = TRY(find_inode(txn, context, place));
    place = record->parent;
  }
  return fail(Errc::corrupt, "the parents of a directory run in a circle");
}

Result<void> check_no_loop(Transaction& txn, const OperationContext& context,
                           const RenameArgs& args, const Names& names) {
  if (args.parent == args.new_parent) return {};
  if (names.source.type == FileType::directory)
    TRY(check_not_below(txn, context, names.source.inode, args.new_parent));
  if (args.exchange && names.target->type == FileType::directory)
    TRY(check_not_below(txn, context, names.target->inode, args.parent));
  return {};
}

Result<void> check_replaceable(const DirentRecord& source, const InodeRecord& target) {
  const bool source_is_directory = source.type == FileType::directory;
  if (target.is_directory() && !source_is_directory) return fail(Errc::is_directory);
  if (!target.is_directory() && source_is_directory) return fail(Errc::not_directory);
  if (target.entries > 0) return fail(Errc::not_empty);
  return {};
}

// The directories being edited; one and the same record if the rename stays
// within one directory.
struct Directories {
  InodeRecord* from = nullptr;
  InodeRecord* to = nullptr;
};

RemovedResult result_of(const RenameArgs& args, const Directories& directories) {
  RemovedResult result;
  result.parent = attributes_of(args.parent, *directories.from);
  if (args.parent != args.new_parent)
    result.new_parent = attributes_of(args.new_parent, *directories.to);
  return result;
}

Result<InodeRecord*> moved_to(Transaction& txn, const OperationContext& context, InodeId inode,
                              InodeId from, InodeId parent) {
  InodeRecord* record = TRY(edit_inode(txn, context, inode));
  record->parent = parent;
  TRY(moved_between(txn, context, inode, *record, from, parent));
  attributes_changed(*record, context.now);
  return record;
}

Result<RemovedResult> exchange(Transaction& txn, const OperationContext& context,
                               const RenameArgs& args, const Names& names,
                               const Directories& directories) {
  const DirentRecord& source = names.source;
  const DirentRecord& target = *names.target;
  TRY(redirect_entry(txn, context, args.parent, *directories.from, args.name, source,
                     {target.inode, target.type}));
  TRY(redirect_entry(txn, context, args.new_parent, *directories.to, args.new_name, target,
                     {source.inode, source.type}));
  TRY(moved_to(txn, context, target.inode, args.new_parent, args.parent));
  const InodeRecord* moved = TRY(moved_to(txn, context, source.inode, args.parent, args.new_parent));
  RemovedResult result = result_of(args, directories);
  result.moved = attributes_of(source.inode, *moved);
  return result;
}

// The target's name leads to the source, at the same place of the listing: it
// has been there all the time, and whoever lists is to meet it once.
Result<Attributes> replace_target(Transaction& txn, const OperationContext& context,
                                  const RenameArgs& args, const Names& names,
                                  const Directories& directories) {
  const InodeId inode = names.target->inode;
  InodeRecord* record = TRY(edit_inode(txn, context, inode));
  TRY(check_replaceable(names.source, *record));
  TRY(redirect_entry(txn, context, args.new_parent, *directories.to, args.new_name, *names.target,
                     {names.source.inode, names.source.type}));
  remove_entry(txn, context, args.parent, *directories.from, args.name, names.source);
  record->nlink = record->is_directory() ? 0 : record->nlink - 1;
  attributes_changed(*record, context.now);
  Attributes removed = attributes_of(inode, *record);
  TRY(name_lost(txn, context, inode, *record, args.keep));
  return removed;
}

Result<RemovedResult> move(Transaction& txn, const OperationContext& context,
                           const RenameArgs& args, const Names& names,
                           const Directories& directories) {
  const DirentRecord& source = names.source;
  std::optional<Attributes> removed;
  if (names.target) {
    removed = TRY(replace_target(txn, context, args, names, directories));
  } else if (args.parent == args.new_parent) {
    rename_entry(txn, context, args.parent, *directories.from, args.name, args.new_name, source);
  } else {
    remove_entry(txn, context, args.parent, *directories.from, args.name, source);
    TRY(add_entry(txn, context, args.new_parent, *directories.to, args.new_name,
                  {source.inode, source.type}));
  }
  const InodeRecord* moved = TRY(moved_to(txn, context, source.inode, args.parent, args.new_parent));
  RemovedResult result = result_of(args, directories);
  result.removed = removed;
  result.moved = attributes_of(source.inode, *moved);
  return result;
}

// Two names of one inode: POSIX wants both to stay.
Result<RemovedResult> leave(Transaction& txn, const OperationContext& context,
                            const RenameArgs& args, const Names& names,
                            const Directories& directories) {
  const InodeRecord* record = TRY(find_inode(txn, context, names.source.inode));
  RemovedResult result = result_of(args, directories);
  result.moved = attributes_of(names.source.inode, *record);
  return result;
}

}  // namespace

Result<RemovedResult> rename(Transaction& txn, const OperationContext& context,
                             const RenameArgs& args) {
  TRY(check_arguments(args));
  Directories directories;
  directories.from = TRY(edit_directory(txn, context, args.parent));
  directories.to = TRY(edit_directory(txn, context, args.new_parent));
  const Names names = TRY(look_up(txn, args));
  if (names.target && names.target->inode == names.source.inode)
    return leave(txn, context, args, names, directories);

  TRY(check_no_loop(txn, context, args, names));
  if (args.exchange) return exchange(txn, context, args, names, directories);
  return move(txn, context, args, names, directories);
}

}  // namespace dfs::ops
