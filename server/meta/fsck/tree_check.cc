#include "server/meta/fsck/tree_check.h"

#include <fmt/format.h>

namespace dfs::fsck {

Result<std::optional<InodeId>> TreeCheck::parent_of(InodeId directory) {
  const bool found = TRY(inodes_.find(directory));
  if (!found || inodes_.record() == nullptr || !inodes_.record()->is_directory()) return std::nullopt;
  return inodes_.record()->parent;
}

// Brent's way of finding a circle, which remembers one place only.
Result<void> TreeCheck::check(InodeId directory, const InodeRecord& record) {
  if (record.nlink == 0) return {};  // removed, and held
  InodeId marked = directory;
  InodeId at = directory;
  std::uint64_t steps = 0;
  for (std::uint64_t next_mark = 1; !reached_.contains(at); ++steps) {
    const std::optional<InodeId> parent = TRY(parent_of(at));
    if (!parent) return {};
    at = *parent;
    if (at == marked) {
      const bool reports = TRY(is_smallest_of_its_circle(directory));
      if (!reports) return {};
      const auto place = TRY(paths_.place_of(directory));
      return sink_.found({.problem = Problem::circle,
                          .text = fmt::format("directory {} and what is below it cannot be reached: it "
                                              "lies below itself",
                                              directory.value()),
                          .mendable = place.has_value(),
                          .inode = directory,
                          .parent = place ? place->parent : InodeId{},
                          .name = place ? place->name : std::string()});
    }
    if (steps == next_mark) {
      marked = at;
      next_mark *= 2;
      steps = 0;
    }
  }
  if (reached_.size() == kReachedMax) reached_ = {kRootInode};
  reached_.insert(directory);
  return {};
}

// `directory` leads into a circle, of which it may be no part itself.
Result<bool> TreeCheck::is_smallest_of_its_circle(InodeId directory) {
  InodeId at = directory;
  InodeId marked{};
  std::uint64_t next_mark = 1;
  for (std::uint64_t steps = 1;; ++steps) {
    const std::optional<InodeId> parent = TRY(parent_of(at));
    if (!parent) return false;
    at = *parent;
    if (at == directory) return true;
    if (at < directory || at == marked) return false;
    if (steps == next_mark) {
      marked = at;
      next_mark *= 2;
    }
  }
}

}  // namespace dfs::fsck
