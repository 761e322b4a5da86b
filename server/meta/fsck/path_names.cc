#include "server/meta/fsck/path_names.h"

#include <utility>

#include <fmt/format.h>

namespace dfs::fsck {

Result<std::string> PathNames::of_entry(InodeId parent, std::string_view name) {
  std::string path = TRY(of(parent));
  if (path != "/") path += '/';
  path += name;
  return path;
}

Result<std::string> PathNames::of(InodeId inode) { return of(inode, 0); }

Result<std::string> PathNames::of(InodeId inode, int depth) {
  if (inode == kRootInode) return "/";
  if (const auto known = known_.find(inode); known != known_.end()) return known->second;
  std::string path = fmt::format("inode {}", inode.value());
  if (depth == kDepthMax) return path;
  const auto place = TRY(place_of(inode));
  if (!place) return path;
  path = TRY(of(place->parent, depth + 1));
  if (path != "/") path += '/';
  path += place->name;
  const bool found = TRY(inodes_.find(inode));
  if (found && inodes_.record() != nullptr && inodes_.record()->is_directory()) {
    if (known_.size() == kKnownMax) known_.clear();
    known_.emplace(inode, path);
  }
  return path;
}

Result<std::optional<PathNames::Place>> PathNames::place_of(InodeId inode) {
  const bool found = TRY(inodes_.find(inode));
  if (!found || inodes_.record() == nullptr) return std::nullopt;
  const InodeId parent = inodes_.record()->parent;
  TRY(listing_.seek({parent, 0}));
  while (listing_.valid() && listing_.key().parent == parent) {
    const ListingRecord* entry = listing_.record();
    if (entry != nullptr && entry->inode == inode) return Place{parent, entry->name};
    TRY(listing_.next());
  }
  return std::nullopt;
}

Result<std::optional<PathNames::Place>> PathNames::search(InodeId inode) {
  TRY(entries_.first());
  while (entries_.valid()) {
    const DirentRecord* entry = entries_.record();
    if (entry != nullptr && entry->inode == inode)
      return Place{entries_.key().inode, entries_.key().name};
    TRY(entries_.next());
  }
  return std::nullopt;
}

}  // namespace dfs::fsck
