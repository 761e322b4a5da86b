// The calls of FileSystem that go by parent and name: all go to the server,
// which is the one that knows names.
#include "common/client/engine.h"

namespace dfs {

Result<Attributes> Engine::lookup(InodeId parent, const std::string& name,
                                  const CallContext& context) {
  const EntryResult entry = TRY(ask<EntryResult>(LookupArgs{parent, name}, context));
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
  return learn(entry.attributes);
}

Result<Attributes> Engine::make_symlink(InodeId parent, const std::string& name,
                                        const std::string& target, const CallContext& context) {
  const EntryResult entry = TRY(change<EntryResult>(SymlinkArgs{parent, name, target}, context));
  learn(entry.parent);
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
  return learn(entry.attributes);
}

Result<void> Engine::unlink(InodeId parent, const std::string& name, const CallContext& context) {
  const RemovedResult result =
      TRY(change<RemovedResult>(UnlinkArgs{parent, name, false}, context));
  if (result.removed) learn_removed(*result.removed);
  learn(result.parent);
  return {};
}

Result<void> Engine::remove_directory(InodeId parent, const std::string& name,
                                      const CallContext& context) {
  const RemovedResult result = TRY(change<RemovedResult>(UnlinkArgs{parent, name, true}, context));
  if (result.removed) learn_removed(*result.removed);
  learn(result.parent);
  return {};
}

Result<void> Engine::rename(const RenameArgs& args, const CallContext& context) {
  const RemovedResult result = TRY(change<RemovedResult>(args, context));
  if (result.removed) learn_removed(*result.removed);
  learn(result.moved);
  learn(result.parent);
  learn(result.new_parent);
  return {};
}

Result<ReadDirResult> Engine::read_directory(InodeId inode, std::uint64_t cookie,
                                             std::uint32_t entries_max,
                                             const CallContext& context) {
  Result<ReadDirResult> result =
      ask<ReadDirResult>(ReadDirArgs{inode, cookie, entries_max}, context);
  if (!result) {
    if (!was_removed_here(inode, result.error())) return result;
    return ReadDirResult{.entries = {}, .end = true, .parent = inode};
  }
  for (Entry& entry : result->entries) entry.attributes = learn(entry.attributes);
  if (config_.directory_access_times) accessed(inode, context);
  return result;
}

}  // namespace dfs
