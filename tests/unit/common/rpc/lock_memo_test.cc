#include "common/rpc/lock_memo.h"

#include <gtest/gtest.h>

#include <optional>

#include "common/base/lasting_memory.h"

namespace dfs {
namespace {

constexpr InodeId kFile{5};

FileLock lock_of(std::uint64_t owner, std::uint64_t start, std::uint64_t end) {
  return {LockFamily::posix, LockKind::exclusive, owner, start, end, 77};
}

class LockMemoTest : public ::testing::Test {
 protected:
  LockMemoTest() { begin_process(); }
  // As after a kill: the memory is there, nothing else.
  void begin_process() {
    const auto part = memory.part("locks", LockMemo::kLayout, LockMemo::bytes());
    ASSERT_TRUE(part) << part.error().to_string();
    memo.emplace(part->bytes);
  }
  void set(std::uint64_t owner, const std::vector<FileLock>& locks) {
    memo->set(kFile, LockFamily::posix, owner, locks);
  }
  std::vector<FileLock> known() const {
    std::vector<FileLock> locks;
    for (const HeldLock& held : memo->all()) locks.push_back(held.lock);
    return locks;
  }

  LastingMemory memory = LastingMemory::create().value();
  std::optional<LockMemo> memo;
};

TEST_F(LockMemoTest, TellsTheNextProcessWhatWasHeld) {
  set(1, {lock_of(1, 0, 10), lock_of(1, 20, 30)});
  set(2, {lock_of(2, 10, 20)});
  begin_process();
  EXPECT_EQ(known(), (std::vector<FileLock>{lock_of(1, 0, 10), lock_of(1, 20, 30), lock_of(2, 10, 20)}));
  EXPECT_EQ(memo->all().at(0).inode, kFile);
}

TEST_F(LockMemoTest, KnowsNothingOfWhatWasLetGo) {
  set(1, {lock_of(1, 0, 10), lock_of(1, 20, 30)});
  set(2, {lock_of(2, 10, 20)});
  set(1, {lock_of(1, 20, 30)});
  set(2, {});
  begin_process();
  EXPECT_EQ(known(), std::vector<FileLock>{lock_of(1, 20, 30)});
  set(1, {});
  EXPECT_TRUE(known().empty()) << "of a former process too";
}

TEST_F(LockMemoTest, RemembersAsManyAsItSaysAndUsesTheirRoomAgain) {
  for (std::uint64_t owner = 0; owner < LockMemo::kLocksMax + 5; ++owner)
    set(owner, {lock_of(owner, 0, 1)});
  EXPECT_EQ(known().size(), LockMemo::kLocksMax);
  memo->clear();
  EXPECT_TRUE(known().empty());
  for (std::uint64_t owner = 0; owner < LockMemo::kLocksMax; ++owner)
    set(owner, {lock_of(owner, 0, 1)});
  begin_process();
  EXPECT_EQ(known().size(), LockMemo::kLocksMax);
}

}  // namespace
}  // namespace dfs
