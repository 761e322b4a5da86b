#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

class PolicyTest : public OpsTest {
 protected:
  Policy policy(InodeId inode) {
    const Result<Policy> found = effective_policy(txn_, context_, inode);
    EXPECT_TRUE(found);
    return found ? *found : Policy{};
  }
  void expect(InodeId inode, std::uint32_t replicas, std::uint32_t chunk_size) {
    const Policy found = policy(inode);
    EXPECT_EQ(found.replicas, replicas);
    EXPECT_EQ(found.chunk_size, chunk_size);
  }
  InodeId a_ = directory(kRootInode, "a");
  InodeId b_ = directory(a_, "b");
};

TEST_F(PolicyTest, IsTheDefaultWhereNobodySaysAnything) {
  expect(b_, 3, 1 * MiB);
  expect(file(b_, "f"), 3, 1 * MiB);
}

TEST_F(PolicyTest, OfADirectoryHoldsBelowItForNewFiles) {
  const InodeId old = file(b_, "old");
  must<AttributesResult>(SetPolicyArgs{a_, 2, 0});
  must<AttributesResult>(SetPolicyArgs{b_, 0, 4 * MiB});
  expect(b_, 2, 4 * MiB);
  expect(a_, 2, 1 * MiB);
  const InodeId fresh = file(b_, "new");
  EXPECT_EQ(stat(fresh).chunk_size, 4 * MiB);
  expect(fresh, 2, 4 * MiB);
  expect(old, 3, 1 * MiB);
}

TEST_F(PolicyTest, OfAFileIsItsOwnAndZeroMeansInheritedNow) {
  const InodeId f = file(b_, "f");
  EXPECT_EQ(must<AttributesResult>(SetPolicyArgs{f, 1, 128 * KiB}).attributes.chunk_size,
            128 * KiB);
  expect(f, 1, 128 * KiB);
  must<AttributesResult>(SetPolicyArgs{a_, 2, 4 * MiB});
  EXPECT_EQ(must<AttributesResult>(SetPolicyArgs{f, 0, 0}).attributes.chunk_size, 4 * MiB);
  expect(f, 2, 4 * MiB);
}

TEST_F(PolicyTest, IsToldWithWhatTheInodeItselfSays) {
  must<AttributesResult>(SetPolicyArgs{a_, 2, 0});
  const auto told = must<PolicyResult>(GetPolicyArgs{b_});
  EXPECT_EQ(told.replicas, 2u);
  EXPECT_EQ(told.own_replicas, 0u);
  EXPECT_EQ(told.chunk_size, 1 * MiB);
  EXPECT_EQ(told.own_chunk_size, 0u);
  EXPECT_EQ(must<PolicyResult>(GetPolicyArgs{a_}).own_replicas, 2u);
  EXPECT_EQ(must<PolicyResult>(GetPolicyArgs{file(b_, "f")}).own_replicas, 2u)
      << "a file keeps what held when it was made";
  EXPECT_EQ(error_of(GetPolicyArgs{InodeId{99}}), Errc::stale);
}

TEST_F(PolicyTest, KeepsWhatASetDoesNotMention) {
  must<AttributesResult>(SetPolicyArgs{a_, 2, 4 * MiB});
  must<AttributesResult>(SetPolicyArgs{a_, 1, std::nullopt});
  expect(a_, 1, 4 * MiB);
  must<AttributesResult>(SetPolicyArgs{a_, std::nullopt, 0});
  expect(a_, 1, 1 * MiB);
  const InodeId f = file(a_, "f");
  must<AttributesResult>(SetPolicyArgs{f, std::nullopt, 128 * KiB});
  expect(f, 1, 128 * KiB);
}

TEST_F(PolicyTest, OfAFileIsShownInItsAttributes) {
  must<AttributesResult>(SetPolicyArgs{a_, 2, 0});
  const InodeId f = file(b_, "f");
  EXPECT_EQ(stat(f).replicas, 2u);
  EXPECT_EQ(stat(f).chunk_size, 1 * MiB);
  EXPECT_EQ(must(LookupArgs{b_, "f"}).attributes.replicas, 2u);
  EXPECT_EQ(must<OpenResult>(OpenArgs{f, false}).attributes.replicas, 2u);
  EXPECT_EQ(must<AttributesResult>(SetPolicyArgs{f, 1, 0}).attributes.replicas, 1u);
  EXPECT_EQ(must<AttributesResult>(SetPolicyArgs{f, 0, 0}).attributes.replicas, 2u);
  EXPECT_EQ(stat(file(kRootInode, "g")).replicas, 3u) << "the default";
  EXPECT_EQ(stat(a_).replicas, 0u) << "a directory has no copies";
}

TEST_F(PolicyTest, OfAnOrphanInARemovedDirectoryIsTheDefault) {
  const InodeId f = file(b_, "f");
  (*txn_.edit<tables::Inodes>(f))->replicas = 0;
  (*txn_.edit<tables::Inodes>(f))->chunk_size = 0;
  held_.held.insert(f);
  must<RemovedResult>(UnlinkArgs{b_, "f"});
  must<RemovedResult>(UnlinkArgs{a_, "b", true});
  expect(f, 3, 1 * MiB);
}

TEST_F(PolicyTest, IsForTheOwnerAndRootToSet) {
  context_.caller = {kUser + 1, kUser};
  EXPECT_EQ(error_of(SetPolicyArgs{a_, 1, 0}), Errc::not_permitted);
  context_.caller = {0, 0};
  EXPECT_EQ(error_of(SetPolicyArgs{a_, 1, 0}), Errc::ok);
}

TEST_F(PolicyTest, HasLimits) {
  EXPECT_EQ(error_of(SetPolicyArgs{a_, ops::kReplicasMax + 1, 0}), Errc::invalid);
  EXPECT_EQ(error_of(SetPolicyArgs{a_, 0, kBlockSize + 1}), Errc::invalid);
  EXPECT_EQ(error_of(SetPolicyArgs{a_, 0, kChunkSizeMax + kBlockSize}), Errc::invalid);
  EXPECT_EQ(error_of(SetPolicyArgs{a_, ops::kReplicasMax, kChunkSizeMax}), Errc::ok);
  const InodeId l = must(SymlinkArgs{a_, "l", "x"}).attributes.inode;
  EXPECT_EQ(error_of(SetPolicyArgs{l, 1, 0}), Errc::invalid);
  EXPECT_EQ(error_of(SetPolicyArgs{InodeId{99}, 1, 0}), Errc::stale);
}

}  // namespace
}  // namespace dfs
