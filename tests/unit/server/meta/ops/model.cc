#include "tests/unit/server/meta/ops/model.h"

#include <algorithm>

namespace dfs {

Model::Model() {
  Inode root;
  root.type = FileType::directory;
  root.names = 1;
  root.parent = kRootInode;
  inodes_.emplace(kRootInode, root);
}

Model::Inode* Model::find(InodeId inode) {
  const auto found = inodes_.find(inode);
  return found == inodes_.end() ? nullptr : &found->second;
}

Errc Model::parent_error(InodeId parent) {
  const Inode* directory = find(parent);
  if (directory == nullptr) return Errc::stale;
  if (directory->type != FileType::directory) return Errc::not_directory;
  if (directory->names == 0) return Errc::not_found;
  return Errc::ok;
}

void Model::drop_if_unused(InodeId inode) {
  if (find(inode)->names == 0 && !held_.contains(inode)) inodes_.erase(inode);
}

void Model::lose_name(InodeId inode) {
  --find(inode)->names;
  drop_if_unused(inode);
}

void Model::release(InodeId inode) {
  held_.erase(inode);
  if (find(inode) != nullptr) drop_if_unused(inode);
}

Errc Model::create(const CreateArgs& args, InodeId made) {
  if (const Errc error = parent_error(args.parent); error != Errc::ok) return error;
  Inode& parent = *find(args.parent);
  const auto there = parent.entries.find(args.name);
  if (there != parent.entries.end()) {
    if (args.exclusive || args.type != FileType::regular) return Errc::exists;
    const FileType type = find(there->second)->type;
    if (type == FileType::directory) return Errc::is_directory;
    if (type != FileType::regular) return Errc::exists;
    if (args.open && args.truncate) return resize(there->second, 0);
    return Errc::ok;
  }
  Inode inode;
  inode.type = args.type;
  inode.names = 1;
  inode.parent = args.parent;
  inodes_.emplace(made, inode);
  parent.entries[args.name] = made;
  return Errc::ok;
}

Errc Model::symlink(const SymlinkArgs& args, InodeId made) {
  if (const Errc error = parent_error(args.parent); error != Errc::ok) return error;
  Inode& parent = *find(args.parent);
  if (parent.entries.contains(args.name)) return Errc::exists;
  Inode inode;
  inode.type = FileType::symlink;
  inode.names = 1;
  inode.target = args.target;
  inodes_.emplace(made, inode);
  parent.entries[args.name] = made;
  return Errc::ok;
}

Errc Model::link(const LinkArgs& args) {
  Inode* inode = find(args.inode);
  if (inode == nullptr) return Errc::stale;
  if (inode->type == FileType::directory) return Errc::not_permitted;
  if (inode->names == 0) return Errc::not_found;
  if (const Errc error = parent_error(args.new_parent); error != Errc::ok) return error;
  Inode& parent = *find(args.new_parent);
  if (parent.entries.contains(args.new_name)) return Errc::exists;
  parent.entries[args.new_name] = args.inode;
  ++inode->names;
  return Errc::ok;
}

Errc Model::unlink(const UnlinkArgs& args) {
  if (const Errc error = parent_error(args.parent); error != Errc::ok) return error;
  Inode& parent = *find(args.parent);
  const auto entry = parent.entries.find(args.name);
  if (entry == parent.entries.end()) return Errc::not_found;
  const InodeId victim = entry->second;
  const Inode& inode = *find(victim);
  const bool is_directory = inode.type == FileType::directory;
  if (is_directory && !args.directory) return Errc::is_directory;
  if (!is_directory && args.directory) return Errc::not_directory;
  if (!inode.entries.empty()) return Errc::not_empty;
  parent.entries.erase(entry);
  lose_name(victim);
  return Errc::ok;
}

bool Model::is_below(InodeId place, InodeId directory) const {
  while (place != directory) {
    if (place == kRootInode) return false;
    place = inodes_.at(place).parent;
  }
  return true;
}

Errc Model::rename(const RenameArgs& args) {
  if (args.no_replace && args.exchange) return Errc::invalid;
  if (const Errc error = parent_error(args.parent); error != Errc::ok) return error;
  if (const Errc error = parent_error(args.new_parent); error != Errc::ok) return error;
  Inode& from = *find(args.parent);
  Inode& to = *find(args.new_parent);
  if (!from.entries.contains(args.name)) return Errc::not_found;
  const InodeId source = from.entries[args.name];
  std::optional<InodeId> target;
  if (to.entries.contains(args.new_name)) target = to.entries[args.new_name];
  if (target && args.no_replace) return Errc::exists;
  if (!target && args.exchange) return Errc::not_found;
  if (target == source) return Errc::ok;

  const bool source_is_directory = find(source)->type == FileType::directory;
  const bool target_is_directory = target && find(*target)->type == FileType::directory;
  if (source_is_directory && is_below(args.new_parent, source)) return Errc::invalid;
  if (args.exchange) {
    if (target_is_directory && is_below(args.parent, *target)) return Errc::invalid;
    from.entries[args.name] = *target;
    to.entries[args.new_name] = source;
    find(*target)->parent = args.parent;
    find(source)->parent = args.new_parent;
    return Errc::ok;
  }
  if (target_is_directory && !source_is_directory) return Errc::is_directory;
  if (target && !target_is_directory && source_is_directory) return Errc::not_directory;
  if (target_is_directory && !find(*target)->entries.empty()) return Errc::not_empty;
  from.entries.erase(args.name);
  to.entries[args.new_name] = source;
  find(source)->parent = args.new_parent;
  if (target) lose_name(*target);
  return Errc::ok;
}

Errc Model::resize(InodeId inode, std::uint64_t size) {
  Inode* file = find(inode);
  if (file == nullptr) return Errc::stale;
  if (file->type == FileType::directory) return Errc::is_directory;
  if (file->type != FileType::regular) return Errc::invalid;
  file->cells.resize(size);
  return Errc::ok;
}

Errc Model::commit(const CommitArgs& args) {
  for (const CommitFile& change : args.files) {
    const Inode* file = find(change.inode);
    if (file != nullptr && file->type != FileType::regular) return Errc::invalid;
  }
  for (const CommitFile& change : args.files) {
    for (const Extent& extent : change.extents) uploaded_.insert(extent.chunk);
    Inode* file = find(change.inode);
    if (file == nullptr) continue;
    std::vector<Cell>& cells = file->cells;
    for (const FileRange& hole : change.holes)
      for (std::uint64_t i = hole.offset; i < hole.offset + hole.length && i < cells.size(); ++i)
        cells[i] = {};
    for (const Extent& extent : change.extents) {
      if (cells.size() < extent.end()) cells.resize(extent.end());
      for (std::uint32_t i = 0; i < extent.length; ++i)
        cells[extent.file_offset + i] = {extent.chunk, extent.chunk_offset + i};
    }
    if (cells.size() < change.size_at_least) cells.resize(change.size_at_least);
  }
  return Errc::ok;
}

Errc Model::clone(const CloneArgs& args) {
  const Inode* source = find(args.source);
  Inode* target = find(args.inode);
  if (source == nullptr || target == nullptr) return Errc::stale;
  for (const Inode* file : {source, static_cast<const Inode*>(target)}) {
    if (file->type == FileType::directory) return Errc::is_directory;
    if (file->type != FileType::regular) return Errc::invalid;
  }
  if (args.source_offset >= source->cells.size()) return Errc::ok;
  const auto begin = source->cells.begin() + static_cast<std::ptrdiff_t>(args.source_offset);
  const std::uint64_t length = std::min(args.length, source->cells.size() - args.source_offset);
  const std::vector<Cell> cells(begin, begin + static_cast<std::ptrdiff_t>(length));
  const std::uint64_t apart = args.offset > args.source_offset ? args.offset - args.source_offset
                                                               : args.source_offset - args.offset;
  if (source == target && apart < length) return Errc::invalid;
  if (target->cells.size() < args.offset + length) target->cells.resize(args.offset + length);
  std::copy(cells.begin(), cells.end(),
            target->cells.begin() + static_cast<std::ptrdiff_t>(args.offset));
  return Errc::ok;
}

Errc Model::set_xattr(const SetXattrArgs& args) {
  Inode* inode = find(args.inode);
  if (inode == nullptr) return Errc::stale;
  const bool there = inode->xattrs.contains(args.name);
  if (there && args.create_only) return Errc::exists;
  if (!there && args.replace_only) return Errc::no_data;
  inode->xattrs[args.name] = args.value;
  return Errc::ok;
}

Errc Model::remove_xattr(const RemoveXattrArgs& args) {
  Inode* inode = find(args.inode);
  if (inode == nullptr) return Errc::stale;
  return inode->xattrs.erase(args.name) > 0 ? Errc::ok : Errc::no_data;
}

std::uint32_t Model::nlink(InodeId inode) const {
  const Inode& found = inodes_.at(inode);
  if (found.type != FileType::directory) return found.names;
  if (found.names == 0) return 0;
  std::uint32_t nlink = 2;
  for (const auto& [name, entry] : found.entries)
    if (inodes_.at(entry).type == FileType::directory) ++nlink;
  return nlink;
}

std::set<ChunkId> Model::used() const {
  std::set<ChunkId> chunks;
  for (const auto& [id, inode] : inodes_)
    for (const Cell& cell : inode.cells)
      if (cell.first != ChunkId{}) chunks.insert(cell.first);
  return chunks;
}

}  // namespace dfs
