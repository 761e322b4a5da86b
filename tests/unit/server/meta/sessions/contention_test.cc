#include "server/meta/sessions/contention.h"

#include <gtest/gtest.h>

namespace dfs {
namespace {

using namespace std::chrono_literals;

constexpr InodeId kFile{7};

class ContentionTest : public ::testing::Test {
 protected:
  void take(std::size_t times, std::chrono::milliseconds apart) {
    for (std::size_t i = 0; i < times; ++i) {
      if (i > 0) now += apart;
      contention.taken(kFile, now);
    }
  }
  void ask(std::uint64_t session) { contention.asked(kFile, SessionId{session}, now); }
  bool contended() { return contention.is_contended(kFile, now); }

  Contention contention;
  SteadyTime now{100s};
};

TEST_F(ContentionTest, BeginsWhenLeasesToWriteAreTakenAwayQuickly) {
  take(Contention::kTakenMax - 1, 10ms);
  EXPECT_FALSE(contended());
  take(1, 10ms);
  EXPECT_TRUE(contended());
  EXPECT_EQ(contention.contended(), 1u);
  EXPECT_EQ(contention.switches_to_contended(), 1u);
}

TEST_F(ContentionTest, DoesNotBeginWhenTheyAreTakenAwaySlowly) {
  take(100, 143ms);  // seven times that is over a second
  EXPECT_FALSE(contended());
  now += 143ms;
  take(Contention::kTakenMax, 142ms);
  EXPECT_TRUE(contended());
}

TEST_F(ContentionTest, IsThatOfOneInode) {
  take(Contention::kTakenMax, 1ms);
  EXPECT_FALSE(contention.is_contended(InodeId{8}, now));
}

TEST_F(ContentionTest, LastsWhileSessionsTakeTurns) {
  take(Contention::kTakenMax, 1ms);
  for (int i = 0; i < 100; ++i) {
    ask(i % 2 + 1);
    now += 400ms;
    EXPECT_TRUE(contended());
  }
  now += 601ms;
  EXPECT_FALSE(contended());
  EXPECT_EQ(contention.contended(), 0u);
  EXPECT_EQ(contention.switches_to_calm(), 1u);
}

TEST_F(ContentionTest, EndsWhenOneSessionGoesOnAlone) {
  take(Contention::kTakenMax, 1ms);
  ask(1);
  ask(2);
  ask(1);
  for (int i = 0; i < 10; ++i) {
    now += 99ms;
    ask(1);
    EXPECT_TRUE(contended());
  }
  now += 10ms;
  ask(1);
  EXPECT_FALSE(contended());
}

TEST_F(ContentionTest, EndsThoughOneTurnIsTakenNowAndThen) {
  take(Contention::kTakenMax, 1ms);
  ask(1);
  now += 600ms;
  ask(2);
  now += 500ms;
  EXPECT_FALSE(contended());
}

TEST_F(ContentionTest, IsForgottenWhenNobodyAsksAnyMore) {
  take(Contention::kTakenMax, 1ms);
  contention.taken(InodeId{8}, now);
  contention.expire(now + 999ms);
  EXPECT_EQ(contention.contended(), 1u);
  contention.expire(now + 1s);
  EXPECT_EQ(contention.contended(), 0u);
  EXPECT_TRUE(contention.is_empty());
}

TEST_F(ContentionTest, RemembersSoManyInodes) {
  take(Contention::kTakenMax, 1ms);
  for (std::uint64_t inode = 100; inode < 100 + Contention::kInodesMax; ++inode)
    contention.taken(InodeId{inode}, now);
  EXPECT_FALSE(contended());
  EXPECT_EQ(contention.contended(), 0u);
}

}  // namespace
}  // namespace dfs
