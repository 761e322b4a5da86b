// The calls of FileSystem that go by parent and name. Changes go to the server, and
// so does what no lease answers.
#include "common/client/engine.h"

namespace dfs {

Result<Attributes> Engine::lookup(InodeId parent, const std::string& name,
                                  const CallContext& context) {
  const bool is_name = name != "." && name != "..";
  if (is_name) {
    if (const auto known = names_.find(parent, name)) {
      if (known->absent()) return fail(Errc::not_found);
      auto attributes = get_attributes(known->inode, context);
      // It was removed by its other name, or the like: the server says.
      if (attributes || attributes.error().code != Errc::stale) return attributes;
    }
  }
  if (!context.may_wait) return fail(Errc::would_wait);
  const EntryResult entry =
      TRY(ask<EntryResult>(LookupArgs{parent, name, is_name && config_.leases}, context));
  gate_.granted(parent, entry.parent_lease, entry.parent_lease_order);
  if (is_name)
    names_.learn(parent, name, entry.absent ? InodeId{} : entry.attributes.inode,
                 entry.parent_lease_order);
  if (entry.absent) return fail(Errc::not_found);
  learn(entry.parent);
  return learn(entry.attributes);
}

Result<Attributes> Engine::make_node(InodeId parent, const std::string& name, FileType type,
                                     std::uint32_t mode, std::uint64_t rdev,
                                     const CallContext& context) {
  CreateArgs args;
  args.parent = parent;
  args.name = name;
  args.type = type;
  args.mode = mode;
  args.umask = context.umask;
  args.rdev = rdev;
  args.exclusive = true;
  const EntryResult entry = TRY(change<EntryResult>(std::move(args), context));
  learn(entry.parent);
  learn_name(parent, name, entry.attributes.inode, entry.parent);
  return learn(entry.attributes);
}

Result<Attributes> Engine::make_symlink(InodeId parent, const std::string& name,
                                        const std::string& target, const CallContext& context) {
  const EntryResult entry = TRY(change<EntryResult>(SymlinkArgs{parent, name, target}, context));
  learn(entry.parent);
  learn_name(parent, name, entry.attributes.inode, entry.parent);
  return learn(entry.attributes);
}

Result<std::string> Engine::read_symlink(InodeId inode, const CallContext& context) {
  ReadlinkResult result = TRY(ask<ReadlinkResult>(ReadlinkArgs{inode}, context));
  accessed(inode, context);
  return std::move(result.target);
}

Result<void> Engine::send_unnamed(InodeId inode, const CallContext& context) {
  const InodeStatePtr state = inodes_.find(inode);
  if (state == nullptr) return {};
  {
    const std::lock_guard lock(state->mutex);
    if (state->attributes.nlink > 0 || state->dirty.empty()) return {};
  }
  return write_back_.flush(state, context.interrupt);
}

Result<Attributes> Engine::link(InodeId inode, InodeId new_parent, const std::string& new_name,
                                const CallContext& context) {
  TRY(send_unnamed(inode, context));
  const EntryResult entry = TRY(change<EntryResult>(LinkArgs{inode, new_parent, new_name}, context));
  learn(entry.parent);
  learn_name(new_parent, new_name, inode, entry.parent);
  return learn(entry.attributes);
}

Result<void> Engine::unlink(InodeId parent, const std::string& name, const CallContext& context) {
  const Removal removal(*this, parent, name);
  const RemovedResult result =
      TRY(change<RemovedResult>(UnlinkArgs{parent, name, false, removal.keep()}, context));
  if (result.removed) learn_removed(*result.removed);
  learn(result.parent);
  learn_name(parent, name, InodeId{}, result.parent);
  return {};
}

Result<void> Engine::remove_directory(InodeId parent, const std::string& name,
                                      const CallContext& context) {
  const RemovedResult result = TRY(change<RemovedResult>(UnlinkArgs{parent, name, true}, context));
  if (result.removed) learn_removed(*result.removed);
  learn(result.parent);
  learn_name(parent, name, InodeId{}, result.parent);
  return {};
}

Result<void> Engine::rename(const RenameArgs& args, const CallContext& context) {
  RenameArgs asked = args;
  // Also for whoever has just looked up what is replaced, and is about to open it.
  asked.keep = config_.leases;
  const RemovedResult result = TRY(change<RemovedResult>(std::move(asked), context));
  if (result.removed) learn_removed(*result.removed);
  learn(result.moved);
  learn(result.parent);
  learn(result.new_parent);
  learn_renamed(args, result);
  return {};
}

void Engine::learn_renamed(const RenameArgs& args, const RemovedResult& result) {
  const Attributes& to = result.new_parent ? *result.new_parent : result.parent;
  // Of an exchange one inode is not told; and two names of one inode both stay.
  const bool is_clear = !args.exchange && result.moved && result.moved->nlink == 1;
  const bool moved = is_clear || (result.moved && result.moved->type == FileType::directory &&
                                  !args.exchange);
  const auto if_moved = [&](InodeId inode) { return moved ? std::optional(inode) : std::nullopt; };
  learn_name(args.parent, args.name, if_moved(InodeId{}), result.parent);
  learn_name(args.new_parent, args.new_name, if_moved(result.moved ? result.moved->inode : InodeId{}),
             to);
}

OpenedDirectory Engine::open_directory(InodeId inode, const CallContext& context) {
  if (!config_.leases) return {};
  if (!knows_most_of(inode)) {
    shown_listings_.forgotten(inode);
    return {.may_keep = true};
  }
  const bool is_kept = shown_listings_.opened(inode);
  if (is_kept && config_.directory_access_times) accessed(inode, context);
  return {.may_keep = true, .is_kept = is_kept};
}

Result<ReadDirResult> Engine::read_directory(InodeId inode, std::uint64_t cookie,
                                             std::uint32_t entries_max,
                                             const CallContext& context) {
  if (auto known = listed_before(inode, cookie)) {
    shown_listings_.told(inode, known->lease_order);
    if (config_.directory_access_times) accessed(inode, context);
    return *std::move(known);
  }
  if (!context.may_wait) return fail(Errc::would_wait);
  Result<ReadDirResult> result =
      ask<ReadDirResult>(ReadDirArgs{inode, cookie, entries_max}, context);
  if (!result) {
    if (!was_removed_here(inode, result.error())) return result;
    return ReadDirResult{.entries = {}, .end = true, .parent = inode};
  }
  learn_listing(inode, cookie, *result);
  shown_listings_.told(inode, result->lease_order);
  for (Entry& entry : result->entries) entry.attributes = learn(entry.attributes);
  if (config_.directory_access_times) accessed(inode, context);
  return result;
}

}  // namespace dfs
