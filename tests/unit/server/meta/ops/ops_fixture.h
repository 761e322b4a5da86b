// A file system of one transaction over a store in memory, with everything
// the operations are handed.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/kv/memory_kv_store.h"
#include "server/meta/ops/operation.h"
#include "server/meta/ops/operations.h"

namespace dfs {

class FakeHeld final : public HeldInodes {
 public:
  bool is_held(InodeId inode) const override { return held.contains(inode); }
  std::set<InodeId> held;
};

class FakeGroups final : public GroupDirectory {
 public:
  bool knows(GroupId group) const override { return groups.contains(group); }
  std::vector<ServerId> members_of(GroupId group) const override {
    const auto found = groups.find(group);
    return found == groups.end() ? std::vector<ServerId>{} : found->second;
  }
  std::map<GroupId, std::vector<ServerId>> groups = {
      {GroupId{1}, {ServerId{1}, ServerId{2}, ServerId{3}}}, {GroupId{2}, {ServerId{4}}}};
};

class CountingIds final : public IdSource {
 public:
  InodeName next_inode() override { return {InodeId{next++}, 7}; }
  std::uint64_t next = 2;
};

inline constexpr std::uint32_t kUser = 1000;

class OpsTest : public testing::Test {
 protected:
  OpsTest();
  // Every test ends with a commit and a look at every row.
  void TearDown() override;

  Result<MetaResult> run(const MetaArgs& args);
  Errc error_of(const MetaArgs& args);
  template <typename R = EntryResult>
  R must(const MetaArgs& args) {
    Result<MetaResult> result = run(args);
    EXPECT_TRUE(result) << result.error().to_string();
    if (!result) return {};
    R* value = std::get_if<R>(&*result);
    EXPECT_NE(value, nullptr) << "another result than expected";
    return value == nullptr ? R{} : std::move(*value);
  }
  void commit();

  InodeId file(InodeId parent, const std::string& name, std::uint32_t mode = 0644);
  InodeId directory(InodeId parent, const std::string& name, std::uint32_t mode = 0755);
  InodeId child(InodeId parent, const std::string& name);  // 0: not there
  Attributes stat(InodeId inode);
  std::vector<std::string> list(InodeId directory);
  std::vector<Extent> extents(InodeId inode);
  CommitResult write(InodeId inode, std::vector<Extent> extents);
  const ChunkRecord* chunk(ChunkId chunk);
  bool is_garbage(ChunkId chunk);
  bool is_orphan(InodeId inode);
  // For the test to fill in.
  static SetAttrArgs change_of(InodeId inode) {
    SetAttrArgs args;
    args.inode = inode;
    return args;
  }
  // The n-th chunk of group 1.
  static ChunkId nth(std::uint64_t serial) { return ChunkId(GroupId{1}, serial); }

  MemoryKvStore store_;
  RecordCache cache_;
  Transaction txn_{store_, cache_};
  FakeHeld held_;
  FakeGroups groups_;
  CountingIds ids_;
  Totals totals_;
  std::vector<InodeId> unfinished_;
  OperationContext context_{{kUser, kUser}, SessionId{1}, 1'000'000, held_, groups_, Policy{3, 1 * MiB},
                            ids_, totals_, unfinished_};
};

}  // namespace dfs
