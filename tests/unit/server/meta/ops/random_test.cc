// Tens of thousands of random operations against the model: every answer, and
// at every commit every name, link count, byte, attribute and chunk. Batches
// are sometimes abandoned, as when the disk is full: then the model goes back.
#include <algorithm>
#include <iostream>
#include <random>

#include "tests/unit/server/meta/ops/consistency.h"
#include "tests/unit/server/meta/ops/model.h"
#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

constexpr int kOperations = 40'000;
constexpr std::uint64_t kBytesMax = 200;
constexpr std::size_t kDirectoriesMax = 8;

class RandomTest : public OpsTest {
 protected:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::string name() { return std::string(1, static_cast<char>('a' + below(6))); }

  // Mostly something that is there, sometimes something that is not.
  InodeId some_inode() {
    if (one_in(50)) return InodeId{1 + below(ids_.next + 2)};
    auto found = model_.inodes().begin();
    std::advance(found, static_cast<std::ptrdiff_t>(below(model_.inodes().size())));
    return found->first;
  }
  InodeId some_of(FileType type) {
    std::vector<InodeId> found;
    for (const auto& [id, inode] : model_.inodes())
      if (inode.type == type) found.push_back(id);
    if (found.empty() || one_in(30)) return some_inode();
    return found[below(found.size())];
  }
  std::size_t directories() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(model_.inodes(), [](const auto& inode) {
          return inode.second.type == FileType::directory;
        }));
  }
  InodeId directory_here() { return some_of(FileType::directory); }

  void expect_same(const MetaArgs& args, Errc expected) {
    const Result<MetaResult> result = run(args);
    ASSERT_EQ(result ? Errc::ok : result.error().code, expected) << "operation " << args.index();
    if (result) ++succeeded_[args.index()];
  }

  void create() {
    CreateArgs args{directory_here(), name()};
    // Few directories, so that operations meet.
    if (directories() < kDirectoriesMax && one_in(3)) args.type = FileType::directory;
    if (one_in(10)) args.type = FileType::fifo;
    args.exclusive = one_in(3);
    args.open = args.type == FileType::regular && one_in(2);
    args.truncate = one_in(2);
    const InodeId made{ids_.next};
    expect_same(args, model_.create(args, made));
  }
  void symlink() {
    const SymlinkArgs args{directory_here(), name(), name()};
    const InodeId made{ids_.next};
    expect_same(args, model_.symlink(args, made));
  }
  void link() {
    const LinkArgs args{some_of(FileType::regular), directory_here(), name()};
    expect_same(args, model_.link(args));
  }
  void unlink() {
    const UnlinkArgs args{directory_here(), name(), one_in(2)};
    expect_same(args, model_.unlink(args));
  }
  void rename() {
    RenameArgs args{directory_here(), name(), directory_here(), name(), false, false};
    if (one_in(3)) args.new_parent = args.parent;
    args.no_replace = one_in(5);
    args.exchange = one_in(4);
    expect_same(args, model_.rename(args));
  }
  void resize() {
    SetAttrArgs args = change_of(some_of(FileType::regular));
    args.size = below(kBytesMax);
    expect_same(args, model_.resize(args.inode, *args.size));
  }
  CommitFile change() {
    CommitFile file;
    file.inode = some_of(FileType::regular);
    if (one_in(4)) file.holes.push_back({below(kBytesMax), below(80)});
    if (one_in(6)) file.size_at_least = below(kBytesMax);
    for (std::uint64_t count = below(4); count > 0; --count)
      file.extents.push_back({below(kBytesMax), static_cast<std::uint32_t>(1 + below(60)),
                              some_chunk(), static_cast<std::uint32_t>(below(50))});
    return file;
  }
  // A new one, or one that a file uses: extents of several files share chunks.
  ChunkId some_chunk() {
    const std::set<ChunkId> used = model_.used();
    if (one_in(3) && !used.empty()) {
      auto found = used.begin();
      std::advance(found, static_cast<std::ptrdiff_t>(below(used.size())));
      return *found;
    }
    return ChunkId(GroupId{static_cast<std::uint32_t>(1 + below(2))}, ++last_serial_);
  }
  void commit_files() {
    CommitArgs args;
    for (std::uint64_t count = 1 + below(3); count > 0; --count) args.files.push_back(change());
    expect_same(args, model_.commit(args));
  }
  void clone() {
    const CloneArgs args{some_of(FileType::regular), below(kBytesMax), some_of(FileType::regular),
                         below(kBytesMax),           1 + below(80),    context_.now, one_in(2)};
    expect_same(args, model_.clone(args));
  }
  void xattr() {
    const InodeId inode = some_inode();
    if (one_in(3)) {
      const RemoveXattrArgs args{inode, name()};
      expect_same(args, model_.remove_xattr(args));
    } else {
      const SetXattrArgs args{inode, name(), name(), one_in(5), one_in(5)};
      expect_same(args, model_.set_xattr(args));
    }
  }
  void hold_or_release() {
    const InodeId inode = some_inode();
    if (held_.held.contains(inode)) {
      held_.held.erase(inode);
      model_.release(inode);
      const Result<Purge> purged = purge_orphan(txn_, context_, inode);
      ASSERT_TRUE(purged) << purged.error().to_string();
    } else if (model_.inodes().contains(inode)) {
      held_.held.insert(inode);
      model_.hold(inode);
    }
  }

  void step() {
    switch (below(13)) {
      case 0:
      case 1:
        return create();
      case 2:
        return symlink();
      case 3:
        return link();
      case 4:
      case 5:
        return unlink();
      case 6:
      case 7:
        return rename();
      case 8:
        return resize();
      case 9:
        return commit_files();
      case 10:
        return xattr();
      case 11:
        return clone();
      default:
        return hold_or_release();
    }
  }

  void expect_same_inode(InodeId id, const Model::Inode& inode) {
    const Attributes attributes = stat(id);
    ASSERT_EQ(attributes.type, inode.type);
    ASSERT_EQ(attributes.nlink, model_.nlink(id)) << id.value();
    if (inode.type == FileType::symlink) {
      ASSERT_EQ(must<ReadlinkResult>(ReadlinkArgs{id}).target, inode.target);
    }
    if (inode.type == FileType::directory) expect_same_names(id, inode);
    if (inode.type == FileType::regular) expect_same_bytes(id, inode, attributes);
    std::map<std::string, std::string> xattrs;
    for (const std::string& found : must<XattrResult>(ListXattrArgs{id}).names)
      xattrs[found] = must<XattrResult>(GetXattrArgs{id, found}).value;
    ASSERT_EQ(xattrs, inode.xattrs);
  }
  void expect_same_names(InodeId id, const Model::Inode& inode) {
    std::map<std::string, InodeId> names;
    std::uint64_t cookie = 0;
    for (bool end = false; !end;) {
      const ReadDirResult page = must<ReadDirResult>(ReadDirArgs{id, cookie, 2});
      for (const Entry& entry : page.entries) {
        ASSERT_TRUE(names.emplace(entry.name, entry.attributes.inode).second);
        cookie = entry.cookie;
      }
      end = page.end;
    }
    ASSERT_EQ(names, inode.entries);
    for (const auto& [entry, target] : inode.entries) ASSERT_EQ(child(id, entry), target);
    if (inode.names == 0) return;
    ASSERT_EQ(child(id, ".."), inode.parent);
  }
  void expect_same_bytes(InodeId id, const Model::Inode& inode, const Attributes& attributes) {
    ASSERT_EQ(attributes.size, inode.cells.size());
    std::vector<Cell> cells(inode.cells.size());
    std::uint64_t offset = below(2) * below(kBytesMax);
    const std::uint64_t from = offset;
    for (bool complete = false; !complete;) {
      const ExtentsResult page = must<ExtentsResult>(GetExtentsArgs{id, offset, 2});
      for (const Extent& extent : page.extents) {
        for (std::uint32_t i = 0; i < extent.length; ++i)
          cells.at(extent.file_offset + i) = {extent.chunk, extent.chunk_offset + i};
        offset = extent.end();
      }
      complete = page.complete;
    }
    for (std::uint64_t i = from; i < cells.size(); ++i) ASSERT_EQ(cells[i], inode.cells[i]) << i;
  }

  void expect_same_everything() {
    for (const auto& [id, inode] : model_.inodes()) {
      expect_same_inode(id, inode);
      if (HasFatalFailure()) return;
    }
    ASSERT_EQ(totals_.inodes, model_.inodes().size());
    // What was uploaded is in use or garbage, and never lost count of.
    const std::set<ChunkId> used = model_.used();
    ASSERT_EQ(totals_.chunks, used.size());
    for (const ChunkId uploaded : model_.uploaded()) {
      ASSERT_EQ(chunk(uploaded) != nullptr, used.contains(uploaded)) << to_string(uploaded);
      ASSERT_EQ(is_garbage(uploaded), !used.contains(uploaded)) << to_string(uploaded);
    }
  }

  void end_batch() {
    if (one_in(6)) {
      txn_.abandon();
      totals_ = committed_totals_;
      model_ = committed_model_;
      held_.held = model_.held();
    } else {
      commit();
      committed_totals_ = totals_;
      committed_model_ = model_;
    }
    if (one_in(10)) cache_.clear();
  }

  const std::uint32_t seed_ = std::random_device{}();
  std::mt19937 random_{seed_};
  Model model_;
  Model committed_model_;
  Totals committed_totals_ = totals_;
  std::uint64_t last_serial_ = 0;
  std::map<std::size_t, int> succeeded_;  // by kind of operation
};

TEST_F(RandomTest, OperationsDoWhatTheModelDoes) {
  std::cout << "seed " << seed_ << '\n';
  int batch = 0;
  for (int done = 0; done < kOperations; ++done) {
    step();
    if (HasFatalFailure()) FAIL() << "seed " << seed_ << ", operation number " << done;
    if (!one_in(30)) continue;
    if (one_in(10)) expect_same_everything();
    end_batch();
    if (++batch % 10 == 0) {
      expect_same_everything();
      const auto problems = find_inconsistencies(store_, committed_totals_);
      ASSERT_EQ(problems, std::vector<std::string>{}) << "seed " << seed_;
    }
    if (HasFatalFailure()) FAIL() << "seed " << seed_ << ", operation number " << done;
  }
  EXPECT_TRUE(unfinished_.empty());
  EXPECT_EQ(succeeded_.size(), 10U);
  for (const auto& [operation, count] : succeeded_) EXPECT_GT(count, 50) << operation;
}

}  // namespace
}  // namespace dfs
