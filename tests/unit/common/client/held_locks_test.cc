// What a client knows of the locks that programs on it hold.
#include "common/client/held_locks.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/base/lasting_memory.h"

namespace dfs {
namespace {

constexpr InodeId kFile{5};

FileLock posix(std::uint64_t owner, LockKind kind, std::uint64_t start = 0,
               std::uint64_t end = kLockEndMax) {
  return {LockFamily::posix, kind, owner, start, end, 0};
}

class HeldLocksTest : public ::testing::Test {
 protected:
  void hold(const FileLock& lock, const void* through = nullptr) {
    EXPECT_TRUE(held.granted(held.begin(kFile, lock, through)));
  }
  std::vector<FileLock> right(const FileLock& lock) {
    std::vector<FileLock> sent;
    held.set_right(kFile, lock, [&](const FileLock& each) { sent.push_back(each); });
    return sent;
  }
  HeldLocks held;
};

TEST_F(HeldLocksTest, KnowWhetherThereIsAnythingToRemove) {
  EXPECT_FALSE(held.any());
  hold(posix(1, LockKind::shared, 10, 20));
  EXPECT_TRUE(held.any());
  EXPECT_TRUE(held.concerns(kFile, posix(1, LockKind::unlocked)));
  EXPECT_FALSE(held.concerns(kFile, posix(1, LockKind::unlocked, 20, 30)));
  EXPECT_FALSE(held.concerns(kFile, posix(2, LockKind::unlocked)));
  held.weaken(kFile, posix(1, LockKind::unlocked));
  EXPECT_FALSE(held.any());
}

TEST_F(HeldLocksTest, ARequestOnItsWayIsSomethingToRemove) {
  const auto request = held.begin(kFile, posix(1, LockKind::shared), nullptr);
  EXPECT_TRUE(held.concerns(kFile, posix(1, LockKind::unlocked)));
  held.refused(request);
  EXPECT_FALSE(held.any());
}

TEST_F(HeldLocksTest, AGrantFromBeforeAllWasSaidIsInDoubt) {
  const auto request = held.begin(kFile, posix(1, LockKind::shared), nullptr);
  EXPECT_TRUE(held.say_all().empty());
  EXPECT_FALSE(held.granted(request)) << "the server has dropped it";
  hold(posix(1, LockKind::shared));
  EXPECT_EQ(held.say_all().size(), 1u);
}

TEST_F(HeldLocksTest, AGrantFromBeforeTheOwnerWasSetRightIsInDoubt) {
  const auto request = held.begin(kFile, posix(1, LockKind::shared, 0, 5), nullptr);
  const auto other = held.begin(kFile, posix(2, LockKind::shared, 0, 5), nullptr);
  EXPECT_EQ(right(posix(1, LockKind::exclusive)).size(), 1u);
  EXPECT_FALSE(held.granted(request));
  EXPECT_TRUE(held.granted(other)) << "another owner's";
}

TEST_F(HeldLocksTest, AGrantFromBeforeAnotherThreadUnlockedIsInDoubt) {
  const auto request = held.begin(kFile, posix(1, LockKind::shared, 0, 5), nullptr);
  held.weaken(kFile, posix(1, LockKind::unlocked));
  EXPECT_FALSE(held.granted(request)) << "the server may have done the unlock last";
  EXPECT_FALSE(held.any());
}

TEST_F(HeldLocksTest, SetTheServerRightPieceByPiece) {
  hold(posix(1, LockKind::shared, 10, 20));
  hold(posix(1, LockKind::exclusive, 30, 40));
  const std::vector<FileLock> expected{
      posix(1, LockKind::unlocked, 5, 10), posix(1, LockKind::shared, 10, 20),
      posix(1, LockKind::unlocked, 20, 30), posix(1, LockKind::exclusive, 30, 35)};
  EXPECT_EQ(right(posix(1, LockKind::exclusive, 5, 35)), expected);
}

TEST_F(HeldLocksTest, OnlyAWeakerLockCannotBeRefused) {
  hold(posix(1, LockKind::exclusive, 0, 10));
  EXPECT_TRUE(held.only_weakens(kFile, posix(1, LockKind::shared, 2, 8)));
  EXPECT_FALSE(held.only_weakens(kFile, posix(1, LockKind::shared, 2, 11)));
  EXPECT_FALSE(held.only_weakens(kFile, posix(1, LockKind::exclusive, 2, 8)));
  EXPECT_FALSE(held.only_weakens(kFile, posix(2, LockKind::shared, 2, 8)));
  EXPECT_TRUE(held.only_weakens(kFile, posix(2, LockKind::unlocked)));
}

TEST_F(HeldLocksTest, AFileThatIsClosedEndsWhatWasTakenThroughIt) {
  int one = 0;
  int other = 0;
  FileLock flock{LockFamily::flock, LockKind::exclusive, 7, 0, kLockEndMax, 0};
  hold(flock, &one);
  hold(posix(7, LockKind::shared, 3, 4), &one);
  hold(posix(8, LockKind::shared), &other);
  const std::vector<FileLock> ends = held.end_of(kFile, &one);
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends[0], posix(7, LockKind::unlocked));
  flock.kind = LockKind::unlocked;
  EXPECT_EQ(ends[1], flock);
  EXPECT_EQ(held.say_all().size(), 1u);
}

TEST_F(HeldLocksTest, AFlockThatFailsToChangeIsLost) {
  FileLock flock{LockFamily::flock, LockKind::shared, 7, 0, kLockEndMax, 0};
  hold(flock);
  flock.kind = LockKind::exclusive;
  held.refused(held.begin(kFile, flock, nullptr));
  EXPECT_FALSE(held.any());
}

TEST_F(HeldLocksTest, AreRememberedForTheNextProcess) {
  LastingMemory memory = LastingMemory::create().value();
  LockMemo memo(memory.part("locks", LockMemo::kLayout, LockMemo::bytes()).value().bytes);
  held.remember_in(memo);
  const int file = 0;
  const auto remembers_all = [&] {
    const auto said = held.say_all();
    const auto remembered = memo.all();
    return std::equal(said.begin(), said.end(), remembered.begin(), remembered.end(),
                      [](const HeldLock& a, const HeldLock& b) {
                        return a.inode == b.inode && a.lock == b.lock;
                      });
  };
  hold(posix(1, LockKind::exclusive, 0, 100));
  hold(posix(2, LockKind::shared, 200, 300), &file);
  EXPECT_EQ(memo.all().size(), 2u);
  EXPECT_TRUE(remembers_all());
  const auto former = held.weaken(kFile, posix(1, LockKind::unlocked, 40, 60));
  EXPECT_EQ(memo.all().size(), 3u);
  EXPECT_TRUE(remembers_all());
  held.restore(kFile, posix(1, LockKind::unlocked, 40, 60), former);
  EXPECT_TRUE(remembers_all());
  held.end_of(kFile, &file);
  EXPECT_TRUE(remembers_all());
  held.forget_all();
  EXPECT_TRUE(memo.all().empty());
}

TEST_F(HeldLocksTest, OfAFormerProcessAreRememberedAsFarAsTheyAreHeldAgain) {
  LastingMemory memory = LastingMemory::create().value();
  LockMemo memo(memory.part("locks", LockMemo::kLayout, LockMemo::bytes()).value().bytes);
  memo.set(kFile, LockFamily::posix, 1, {posix(1, LockKind::exclusive, 0, 100)});
  memo.set(kFile, LockFamily::posix, 2, {posix(2, LockKind::exclusive, 100, 200)});
  held.remember_in(memo);
  held.adopt({kFile, posix(1, LockKind::exclusive, 0, 100)}, nullptr);
  held.adopted();
  ASSERT_EQ(memo.all().size(), 1u);
  EXPECT_EQ(memo.all()[0].lock.owner, 1u);
}

TEST_F(HeldLocksTest, ForgetAllAndDoubtWhatIsOnItsWay) {
  hold(posix(1, LockKind::shared, 0, 5));
  hold(posix(1, LockKind::shared, 7, 9));
  const auto request = held.begin(kFile, posix(2, LockKind::shared), nullptr);
  EXPECT_EQ(held.forget_all(), 2u);
  EXPECT_FALSE(held.granted(request));
  EXPECT_FALSE(held.any());
}

}  // namespace
}  // namespace dfs
