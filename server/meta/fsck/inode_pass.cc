#include "server/meta/fsck/inode_pass.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "server/meta/fsck/content_check.h"
#include "server/meta/fsck/name_check.h"
#include "server/meta/fsck/path_names.h"
#include "server/meta/fsck/tree_check.h"

namespace dfs::fsck {
namespace {

constexpr std::uint64_t kInodesPerReport = 256;

class InodePass {
 public:
  InodePass(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink)
      : facts_(facts),
        sink_(sink),
        paths_(snapshot),
        inodes_(snapshot),
        orphans_(snapshot),
        names_(snapshot, paths_, sink),
        contents_(snapshot, facts, paths_, sink),
        tree_(snapshot, paths_, sink) {}

  Result<void> run() {
    TRY(inodes_.first());
    TRY(orphans_.first());
    TRY(names_.first());
    TRY(contents_.first());
    TRY(check_root());
    std::uint64_t count = 0;
    while (const std::optional<InodeId> inode = next()) {
      TRY(check(*inode));
      if (++count % kInodesPerReport == 0) TRY(sink_.passed(kInodesPerReport));
    }
    return {};
  }

 private:
  // The smallest one that any of the tables has rows of.
  std::optional<InodeId> next() const {
    std::optional<InodeId> least;
    const auto consider = [&](std::optional<InodeId> inode) {
      if (inode && (!least || *inode < *least)) least = inode;
    };
    if (inodes_.valid()) consider(inodes_.key());
    if (orphans_.valid()) consider(orphans_.key());
    consider(names_.next());
    consider(contents_.next());
    return least;
  }

  Result<void> check(InodeId inode) {
    Subject subject{.inode = inode};
    if (inodes_.valid() && inodes_.key() == inode) {
      subject.exists = true;
      if (inodes_.record() != nullptr) subject.record = *inodes_.record();
      TRY(inodes_.next());
    }
    bool is_orphan = false;
    if (orphans_.valid() && orphans_.key() == inode) {
      is_orphan = true;
      TRY(orphans_.next());
    }
    TRY(names_.check(subject));
    TRY(contents_.check(subject));
    TRY(check_orphan(subject, is_orphan));
    if (subject.record && subject.record->is_directory()) TRY(tree_.check(inode, *subject.record));
    return {};
  }

  Result<void> check_root() {
    const bool is_first = inodes_.valid() && inodes_.key() == kRootInode;
    if (!is_first)
      return sink_.found({.problem = Problem::no_root,
                          .text = "the root directory has no inode",
                          .mendable = true,
                          .inode = kRootInode});
    if (inodes_.record() == nullptr || inodes_.record()->is_directory()) return {};
    return sink_.found({.problem = Problem::no_root,
                        .text = "the root is no directory",
                        .inode = kRootInode});
  }

  // Links and names were compared by their sums; where those differ they are counted later.
  Result<void> check_orphan(const Subject& subject, bool is_orphan) {
    const InodeId inode = subject.inode;
    if (is_orphan && !subject.exists)
      return sink_.found({.problem = Problem::orphan_of_nothing,
                          .text = fmt::format("inode {} waits to be purged, but there is none",
                                              inode.value()),
                          .mendable = true,
                          .inode = inode});
    if (!subject.record || inode == kRootInode) return {};
    const bool counted = facts_.names_are_whole && facts_.names.is_balanced(inode.value());
    const bool has_links = subject.record->nlink > 0;
    if (!counted || is_orphan != has_links) return {};
    if (is_orphan) {
      const std::string path = TRY(paths_.of(inode));
      return sink_.found({.problem = Problem::named_orphan,
                          .text = fmt::format("{} waits to be purged, but has a name", path),
                          .mendable = true,
                          .inode = inode});
    }
    return sink_.found({.problem = Problem::forgotten,
                        .text = fmt::format("inode {} has no name and does not wait to be purged",
                                            inode.value()),
                        .mendable = true,
                        .inode = inode});
  }

  const RowFacts& facts_;
  FindingSink& sink_;
  PathNames paths_;
  TableRows<tables::Inodes> inodes_;
  TableRows<tables::Orphans> orphans_;
  NameCheck names_;
  ContentCheck contents_;
  TreeCheck tree_;
};

}  // namespace

Result<void> pass_inodes(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink) {
  return InodePass(snapshot, facts, sink).run();
}

}  // namespace dfs::fsck
