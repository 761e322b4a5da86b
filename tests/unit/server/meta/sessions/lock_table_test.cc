#include "server/meta/sessions/lock_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace dfs {
namespace {

constexpr InodeId kFile{7};
constexpr InodeId kOther{8};

struct Who {
  SessionId session;
  std::uint64_t owner;
};
constexpr Who kAnn{SessionId{1}, 10};
constexpr Who kBob{SessionId{2}, 10};  // the same number, another session
constexpr Who kCid{SessionId{1}, 11};

FileLock posix(Who who, LockKind kind, std::uint64_t start, std::uint64_t end) {
  return {LockFamily::posix, kind, who.owner, start, end, 42};
}
FileLock flock(Who who, LockKind kind) {
  return {LockFamily::flock, kind, who.owner, 0, kLockEndMax, 42};
}

class LockTableTest : public ::testing::Test {
 protected:
  enum class Did { done, waits, again, deadlock, no_locks, invalid };

  Did set(Who who, FileLock lock, bool wait = false, InodeId inode = kFile) {
    const auto done = table.set(who.session, {inode, lock, wait, ++last_ticket});
    if (done) return *done ? Did::done : Did::waits;
    switch (done.error().code) {
      case Errc::again: return Did::again;
      case Errc::deadlock: return Did::deadlock;
      case Errc::no_locks: return Did::no_locks;
      default: return Did::invalid;
    }
  }
  Did lock(Who who, LockKind kind, std::uint64_t start, std::uint64_t end, bool wait = false,
           InodeId inode = kFile) {
    return set(who, posix(who, kind, start, end), wait, inode);
  }
  Did unlock(Who who, std::uint64_t start = 0, std::uint64_t end = kLockEndMax,
             InodeId inode = kFile) {
    return set(who, posix(who, LockKind::unlocked, start, end), false, inode);
  }
  // The tickets of those who got their lock since the last call.
  std::vector<std::uint64_t> granted() {
    std::vector<std::uint64_t> tickets;
    for (const auto& settled : table.take_settled()) {
      EXPECT_TRUE(settled.result);
      tickets.push_back(settled.ticket);
    }
    return tickets;
  }

  LockTable table{{.locks_per_session_max = 8, .waits_per_session_max = 3,
                   .waits_per_inode_max = 4}};
  std::uint64_t last_ticket = 0;
};

using Tickets = std::vector<std::uint64_t>;

TEST_F(LockTableTest, ExclusiveLocksKeepOthersOutAndSharedOnesDoNot) {
  EXPECT_EQ(lock(kAnn, LockKind::shared, 0, 100), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::shared, 50, 150), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 50, 150), Did::again);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 100, 150), Did::done);
  EXPECT_EQ(lock(kAnn, LockKind::shared, 120, 130), Did::again);
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 120, 130, false, kOther), Did::done);
  EXPECT_EQ(lock(kCid, LockKind::shared, 120, 130), Did::again) << "an owner of the same session";
}

TEST_F(LockTableTest, FlockAndPosixLocksDoNotSeeEachOther) {
  EXPECT_EQ(set(kAnn, flock(kAnn, LockKind::exclusive)), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 0, 100), Did::done);
  EXPECT_EQ(set(kBob, flock(kBob, LockKind::shared)), Did::again);
}

TEST_F(LockTableTest, TheLongestWaitIsOverFirst) {
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 100), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 0, 10, true), Did::waits);
  EXPECT_EQ(lock(kCid, LockKind::exclusive, 0, 10, true), Did::waits);
  EXPECT_EQ(granted(), Tickets{});
  EXPECT_EQ(unlock(kAnn, 50, 60), Did::done);
  EXPECT_EQ(granted(), Tickets{}) << "not the part they wait for";
  EXPECT_EQ(unlock(kAnn), Did::done);
  EXPECT_EQ(granted(), Tickets{2});
  EXPECT_EQ(unlock(kBob), Did::done);
  EXPECT_EQ(granted(), Tickets{3});
  EXPECT_EQ(table.waits(), 0u);
}

TEST_F(LockTableTest, AWeakerLockLetsThoseInWhoWaited) {
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 100), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::shared, 0, 100, true), Did::waits);
  EXPECT_EQ(lock(kCid, LockKind::shared, 50, 60, true), Did::waits);
  EXPECT_EQ(lock(kAnn, LockKind::shared, 0, 100), Did::done);
  EXPECT_EQ(granted(), (Tickets{2, 3}));
}

TEST_F(LockTableTest, AGrantThatWeakensALockLetsEarlierWaitsIn) {
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 10), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 10, 20), Did::done);
  EXPECT_EQ(lock(kCid, LockKind::shared, 0, 5, true), Did::waits);
  EXPECT_EQ(lock(kAnn, LockKind::shared, 0, 20, true), Did::waits);
  EXPECT_EQ(unlock(kBob), Did::done);
  EXPECT_EQ(granted(), (Tickets{4, 3}));
}

TEST_F(LockTableTest, APosixLockIsKeptUntilTheNewKindIsGranted) {
  EXPECT_EQ(lock(kAnn, LockKind::shared, 0, 10), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::shared, 0, 10), Did::done);
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 10), Did::again);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 0, 10), Did::again) << "hers is still there";
}

TEST_F(LockTableTest, AFlockIsLostWhileItsNewKindIsWaitedFor) {
  EXPECT_EQ(set(kAnn, flock(kAnn, LockKind::shared)), Did::done);
  EXPECT_EQ(set(kBob, flock(kBob, LockKind::shared)), Did::done);
  EXPECT_EQ(set(kAnn, flock(kAnn, LockKind::exclusive), true), Did::waits);
  EXPECT_EQ(set(kBob, flock(kBob, LockKind::exclusive), true), Did::done)
      << "or two of them would wait for ever";
  EXPECT_EQ(set(kBob, flock(kBob, LockKind::unlocked)), Did::done);
  EXPECT_EQ(granted(), Tickets{3});
}

TEST_F(LockTableTest, ACircleOfOwnersIsADeadlock) {
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 1), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 1, 2), Did::done);
  EXPECT_EQ(lock(kCid, LockKind::exclusive, 0, 1, false, kOther), Did::done);
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 1, 2, true), Did::waits);
  EXPECT_EQ(lock(kBob, LockKind::shared, 0, 1, true, kOther), Did::waits);
  EXPECT_EQ(lock(kCid, LockKind::shared, 0, 1, false), Did::again) << "no wait, no circle";
  EXPECT_EQ(lock(kCid, LockKind::shared, 0, 1, true), Did::deadlock);
  EXPECT_EQ(unlock(kCid, 0, kLockEndMax, kOther), Did::done);
  EXPECT_EQ(granted(), Tickets{5}) << "whoever is told can give way";
}

TEST_F(LockTableTest, TwoWhoWantMoreOfWhatTheyShareAreADeadlock) {
  EXPECT_EQ(lock(kAnn, LockKind::shared, 0, 10), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::shared, 0, 10), Did::done);
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 10, true), Did::waits);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 0, 10, true), Did::deadlock);
}

TEST_F(LockTableTest, ACancelledWaitIsNeverGranted) {
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 10), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 0, 10, true), Did::waits);
  EXPECT_FALSE(table.cancel(kAnn.session, 2)) << "another session's ticket";
  EXPECT_TRUE(table.cancel(kBob.session, 2));
  EXPECT_FALSE(table.cancel(kBob.session, 2));
  EXPECT_EQ(unlock(kAnn), Did::done);
  EXPECT_EQ(granted(), Tickets{});
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 10), Did::done) << "nobody has it";
  EXPECT_FALSE(table.cancel(kAnn.session, 4)) << "granted already";
}

TEST_F(LockTableTest, ARepeatChangesNothing) {
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 10), Did::done);
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 10), Did::done);
  EXPECT_EQ(table.locks(), 1u);
  EXPECT_EQ(unlock(kAnn), Did::done);
  EXPECT_EQ(unlock(kAnn), Did::done);
  EXPECT_EQ(table.locks(), 0u);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 0, 10), Did::done);
  EXPECT_EQ(lock(kAnn, LockKind::shared, 0, 10, true), Did::waits);
  --last_ticket;
  EXPECT_EQ(lock(kAnn, LockKind::shared, 0, 10, true), Did::invalid) << "the same ticket";
}

TEST_F(LockTableTest, SaysWhoIsInTheWay) {
  EXPECT_EQ(lock(kAnn, LockKind::shared, 20, 30), Did::done);
  const auto asked = [&](Who who, LockKind kind) {
    return table.in_the_way(who.session, {kFile, posix(who, kind, 0, kLockEndMax)});
  };
  EXPECT_FALSE(asked(kBob, LockKind::shared).lock);
  EXPECT_FALSE(asked(kAnn, LockKind::exclusive).lock) << "her own";
  const LockResult found = asked(kBob, LockKind::exclusive);
  ASSERT_TRUE(found.lock);
  EXPECT_EQ(*found.lock, posix(kAnn, LockKind::shared, 20, 30));
  EXPECT_EQ(found.session, kAnn.session);
}

TEST_F(LockTableTest, ASessionThatEndsLeavesNothingBehind) {
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 10), Did::done);
  EXPECT_EQ(set(kCid, flock(kCid, LockKind::exclusive), false, kOther), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 0, 10, true), Did::waits);
  EXPECT_EQ(lock(kCid, LockKind::exclusive, 0, 10, true), Did::waits);
  EXPECT_TRUE(table.release_some(kAnn.session));
  EXPECT_EQ(granted(), Tickets{3});
  EXPECT_EQ(table.locks(), 1u);
  EXPECT_EQ(table.waits(), 0u);
}

TEST_F(LockTableTest, WhatASessionSaysItHoldsIsMadeSo) {
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 10), Did::done);
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 20, 30), Did::done);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 5, 6, true), Did::waits);
  EXPECT_EQ(lock(kBob, LockKind::exclusive, 25, 26, true), Did::waits);
  EXPECT_EQ(table.replace(kAnn.session, {{kFile, posix(kAnn, LockKind::exclusive, 0, 10)},
                                         {kOther, posix(kCid, LockKind::shared, 0, 1)}}),
            0u);
  EXPECT_EQ(granted(), Tickets{4}) << "what she kept was never free";
  EXPECT_EQ(table.locks(), 3u);
  EXPECT_EQ(table.replace(kAnn.session, {{kFile, posix(kAnn, LockKind::exclusive, 0, 26)}}), 1u)
      << "the end of it is another's by now";
  EXPECT_EQ(granted(), Tickets{3});
}

TEST_F(LockTableTest, WhatASessionHoldsAtItsLimitIsHeldAfterItSaysSo) {
  std::vector<HeldLock> all;
  for (std::uint64_t at = 0; at < 8; ++at)
    all.push_back({kFile, posix(kAnn, LockKind::exclusive, 10 * at, 10 * at + 5)});
  EXPECT_EQ(table.replace(kAnn.session, all), 0u);
  EXPECT_EQ(table.locks(), 8u);
  all.push_back({kOther, posix(kAnn, LockKind::exclusive, 0, 1)});
  EXPECT_EQ(table.replace(kAnn.session, all), 1u);
}

TEST_F(LockTableTest, KnowsWhatOnlyWeakens) {
  const auto weakens = [&](FileLock lock) {
    return table.only_weakens(kAnn.session, kFile, lock);
  };
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 10), Did::done);
  EXPECT_TRUE(weakens(posix(kAnn, LockKind::shared, 2, 8)));
  EXPECT_TRUE(weakens(posix(kAnn, LockKind::exclusive, 2, 8)));
  EXPECT_TRUE(weakens(posix(kAnn, LockKind::unlocked, 0, 100)));
  EXPECT_FALSE(weakens(posix(kAnn, LockKind::shared, 2, 11)));
  EXPECT_FALSE(weakens(posix(kCid, LockKind::shared, 2, 8)));
  EXPECT_FALSE(weakens(flock(kAnn, LockKind::shared)));
}

TEST_F(LockTableTest, IsBounded) {
  for (std::uint64_t at = 0; at < 7; ++at)
    EXPECT_EQ(lock(kAnn, LockKind::exclusive, 10 * at, 10 * at + 5), Did::done);
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 100, 105), Did::no_locks);
  EXPECT_EQ(lock(kAnn, LockKind::exclusive, 0, 5), Did::done) << "held already";
  EXPECT_EQ(unlock(kAnn, 1, 2), Did::done);
  EXPECT_EQ(unlock(kAnn, 3, 4), Did::no_locks) << "one more piece";
  EXPECT_EQ(unlock(kAnn, 1, 5), Did::done);

  const auto wait = [&](std::uint64_t session) {
    const Who who{SessionId{session}, 99};
    return lock(who, LockKind::exclusive, 10, 11, true);
  };
  EXPECT_EQ(wait(3), Did::waits);
  EXPECT_EQ(wait(3), Did::waits);
  EXPECT_EQ(wait(3), Did::waits);
  EXPECT_EQ(wait(3), Did::no_locks) << "of one session";
  EXPECT_EQ(wait(4), Did::waits);
  EXPECT_EQ(wait(5), Did::no_locks) << "on one file";
}

// --- against bytes -------------------------------------------------------------

// A file of a few bytes, and for each who has it how.
class Bytes {
 public:
  static constexpr std::uint64_t kSize = 24;
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // session, owner

  bool blocked(Key who, const FileLock& lock) const {
    for (const auto& [other, bytes] : holders_) {
      if (other == who) continue;
      for (std::uint64_t at = lock.start; at < lock.end; ++at) {
        const LockKind kind = bytes[at];
        if (kind == LockKind::unlocked) continue;
        if (kind == LockKind::exclusive || lock.kind == LockKind::exclusive) return true;
      }
    }
    return false;
  }
  void set(Key who, const FileLock& lock) {
    auto& bytes = bytes_of(who);
    for (std::uint64_t at = lock.start; at < lock.end; ++at) bytes[at] = lock.kind;
  }
  void drop(std::uint64_t session) {
    std::erase_if(holders_, [&](const auto& holder) { return holder.first.first == session; });
  }
  // Who keeps `who` from his lock.
  std::vector<Key> blockers(Key who, const FileLock& lock) const {
    std::vector<Key> found;
    for (const auto& [other, bytes] : holders_) {
      Bytes alone;
      alone.holders_.emplace(other, bytes);
      if (alone.blocked(who, lock)) found.push_back(other);
    }
    return found;
  }
  std::size_t pieces() const {
    std::size_t count = 0;
    for (const auto& [who, bytes] : holders_)
      for (std::uint64_t at = 0; at < kSize; ++at)
        count += bytes[at] != LockKind::unlocked && (at == 0 || bytes[at] != bytes[at - 1]);
    return count;
  }

 private:
  std::array<LockKind, kSize>& bytes_of(Key who) {
    const auto [found, is_new] = holders_.try_emplace(who);
    if (is_new) found->second.fill(LockKind::unlocked);
    return found->second;
  }
  std::map<Key, std::array<LockKind, kSize>> holders_;
};

struct WaitInModel {
  std::uint64_t ticket;
  Bytes::Key who;
  FileLock lock;
};

// `from` waits for `to`, perhaps through others.
bool waits_for(const Bytes& bytes, const std::vector<WaitInModel>& waits,
               const std::vector<Bytes::Key>& from, Bytes::Key to, std::set<Bytes::Key>& seen) {
  for (const Bytes::Key& who : from) {
    if (who == to) return true;
    if (!seen.insert(who).second) continue;
    for (const WaitInModel& wait : waits)
      if (wait.who == who && waits_for(bytes, waits, bytes.blockers(who, wait.lock), to, seen))
        return true;
  }
  return false;
}

TEST(LockTableRandom, AgreesWithAFileOfBytes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const auto below = [&](std::uint64_t count) { return random() % count; };
  LockTable table{{}};
  Bytes bytes;
  std::vector<WaitInModel> waits;
  std::uint64_t ticket = 0;
  std::size_t granted_count = 0;
  std::size_t deadlocks = 0;

  // As the table promises: the longest wait that can be over is, and again.
  const auto settle_model = [&] {
    std::vector<std::uint64_t> granted;
    for (std::size_t at = 0; at < waits.size();) {
      if (bytes.blocked(waits[at].who, waits[at].lock)) {
        ++at;
        continue;
      }
      granted.push_back(waits[at].ticket);
      bytes.set(waits[at].who, waits[at].lock);
      waits.erase(waits.begin() + static_cast<std::ptrdiff_t>(at));
      at = 0;
    }
    return granted;
  };

  for (int step = 0; step < 60'000; ++step) {
    const Bytes::Key who{1 + below(3), 1 + below(3)};
    const SessionId session{who.first};
    const std::uint64_t start = below(Bytes::kSize);
    const std::uint64_t end = start + 1 + below(Bytes::kSize - start);
    const auto kind = static_cast<LockKind>(1 + below(3));
    const FileLock lock{LockFamily::posix, kind, who.second, start, end, 1};
    const auto waiting = std::find_if(waits.begin(), waits.end(),
                                      [&](const auto& wait) { return wait.who == who; });
    switch (below(20)) {
      case 0:
        EXPECT_TRUE(table.release_some(session));
        bytes.drop(who.first);
        std::erase_if(waits, [&](const auto& wait) { return wait.who.first == who.first; });
        break;
      case 1:
        if (waiting == waits.end()) break;
        EXPECT_TRUE(table.cancel(session, waiting->ticket));
        waits.erase(waiting);
        break;
      default: {
        const bool wait = below(3) == 0 && waiting == waits.end();
        const auto done = table.set(session, {kFile, lock, wait, ++ticket});
        const bool blocked = kind != LockKind::unlocked && bytes.blocked(who, lock);
        if (!blocked) {
          ASSERT_TRUE(done && *done) << "step " << step;
          bytes.set(who, lock);
        } else if (!wait) {
          ASSERT_TRUE(!done && done.error().code == Errc::again) << "step " << step;
        } else if (std::set<Bytes::Key> seen;
                   waits_for(bytes, waits, bytes.blockers(who, lock), who, seen)) {
          ASSERT_TRUE(!done && done.error().code == Errc::deadlock) << "step " << step;
          ++deadlocks;
        } else {
          ASSERT_TRUE(done && !*done) << "step " << step;
          waits.push_back({ticket, who, lock});
        }
      }
    }
    std::vector<std::uint64_t> granted;
    for (const auto& settled : table.take_settled()) granted.push_back(settled.ticket);
    ASSERT_EQ(granted, settle_model()) << "step " << step;
    granted_count += granted.size();
    ASSERT_EQ(table.waits(), waits.size()) << "step " << step;
    ASSERT_EQ(table.locks(), bytes.pieces()) << "step " << step;
    const FileLock wanted{LockFamily::posix, kind == LockKind::unlocked ? LockKind::shared : kind,
                          who.second, start, end, 1};
    const LockResult found = table.in_the_way(session, {kFile, wanted});
    ASSERT_EQ(found.lock.has_value(), bytes.blocked(who, wanted)) << "step " << step;
  }
  EXPECT_GT(granted_count, 100u);
  EXPECT_GT(deadlocks, 10u);
}

}  // namespace
}  // namespace dfs
