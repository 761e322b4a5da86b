#include "tests/unit/server/meta/ops/ops_fixture.h"

#include "common/rpc/protocol.h"
#include "tests/unit/server/meta/ops/consistency.h"

namespace dfs {

OpsTest::OpsTest() {
  make_root(txn_, context_);
  commit();
}

void OpsTest::TearDown() {
  commit();
  EXPECT_EQ(find_inconsistencies(store_, totals_), std::vector<std::string>{});
}

Result<MetaResult> OpsTest::run(const MetaArgs& args) {
  ++context_.now;
  return execute(txn_, context_, args);
}

Errc OpsTest::error_of(const MetaArgs& args) {
  const Result<MetaResult> result = run(args);
  return result ? Errc::ok : result.error().code;
}

void OpsTest::commit() {
  ASSERT_TRUE(store_.write(txn_.take_batch(), KvDurability::process));
  txn_.committed();
}

InodeId OpsTest::file(InodeId parent, const std::string& name, std::uint32_t mode) {
  CreateArgs args{parent, name, FileType::regular, mode};
  args.exclusive = true;
  return must(args).attributes.inode;
}

InodeId OpsTest::directory(InodeId parent, const std::string& name, std::uint32_t mode) {
  return must(CreateArgs{parent, name, FileType::directory, mode}).attributes.inode;
}

InodeId OpsTest::child(InodeId parent, const std::string& name) {
  const Result<MetaResult> result = run(LookupArgs{parent, name});
  return result ? std::get<EntryResult>(*result).attributes.inode : InodeId{};
}

Attributes OpsTest::stat(InodeId inode) {
  return must<AttributesResult>(GetAttrArgs{inode}).attributes;
}

std::vector<std::string> OpsTest::list(InodeId directory) {
  std::vector<std::string> names;
  for (const Entry& entry : must<ReadDirResult>(ReadDirArgs{directory}).entries)
    names.push_back(entry.name);
  return names;
}

std::vector<Extent> OpsTest::extents(InodeId inode) {
  return must<ExtentsResult>(GetExtentsArgs{inode, 0, kExtentsPerReplyMax}).extents;
}

CommitResult OpsTest::write(InodeId inode, std::vector<Extent> extents) {
  CommitFile file;
  file.inode = inode;
  file.extents = std::move(extents);
  file.mtime = context_.now;
  CommitArgs args;
  args.files.push_back(std::move(file));
  return must<CommitResult>(args);
}

const ChunkRecord* OpsTest::chunk(ChunkId chunk) {
  const auto found = txn_.find<tables::Chunks>(chunk);
  return found ? *found : nullptr;
}

bool OpsTest::is_garbage(ChunkId chunk) {
  const auto found = txn_.find<tables::Garbage>(chunk);
  return found && *found != nullptr;
}

bool OpsTest::is_orphan(InodeId inode) {
  const auto found = txn_.find<tables::Orphans>(inode);
  return found && *found != nullptr;
}

}  // namespace dfs
