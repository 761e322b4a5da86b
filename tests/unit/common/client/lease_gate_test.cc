// What may still be used of what the server told, whatever comes first.
#include "common/client/lease_gate.h"

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

constexpr InodeId kFile{5};
constexpr InodeId kOther{6};
constexpr std::chrono::milliseconds kLeaseTime{20'000};

class LeaseGateTest : public ::testing::Test {
 protected:
  LeaseGateTest() {
    gate.welcomed({.order = 0, .lost = {}, .lease_time = kLeaseTime});
    gate.confirmed(clock.now());
  }
  LeaseGate::Recalled recall(std::uint64_t order, LeaseKind keep = LeaseKind::none) {
    return gate.recall({kFile, keep}, order);
  }
  WaitLimits limits() { return {clock, &interrupt, std::nullopt}; }

  FakeClock clock;
  LeaseGate gate{clock};
  Interrupt interrupt;
};

// --- grants and recalls ----------------------------------------------------------------

TEST_F(LeaseGateTest, HoldsWhatWasToldSinceTheLeaseIsThere) {
  EXPECT_FALSE(gate.holds(kFile, 10));
  gate.granted(kFile, LeaseKind::read, 10);
  EXPECT_TRUE(gate.holds(kFile, 10));
  EXPECT_TRUE(gate.holds(kFile, 11));
  EXPECT_FALSE(gate.holds(kFile, 9)) << "told under an earlier one";
  EXPECT_FALSE(gate.holds(kFile, 0)) << "told without any";
  EXPECT_FALSE(gate.holds(kOther, 10));
  gate.granted(kFile, LeaseKind::read, 12);
  EXPECT_TRUE(gate.holds(kFile, 10)) << "it has been there without a break";
  EXPECT_EQ(gate.since(kFile), 10U);
}

TEST_F(LeaseGateTest, IsToldNothingByAnswersWithoutALease) {
  gate.granted(kFile, LeaseKind::none, 10);
  gate.granted(kFile, LeaseKind::read, 0);
  EXPECT_EQ(gate.size(), 0U);
}

TEST_F(LeaseGateTest, AGrantIsVoidThatWasRecalledBeforeItCame) {
  EXPECT_EQ(recall(11), LeaseGate::Recalled::absent);
  gate.granted(kFile, LeaseKind::read, 10);
  EXPECT_FALSE(gate.holds(kFile, 10));
  gate.granted(kFile, LeaseKind::read, 12);
  EXPECT_TRUE(gate.holds(kFile, 12));
  EXPECT_FALSE(gate.holds(kFile, 10));
}

TEST_F(LeaseGateTest, ARecallOfAnEarlierLeaseLeavesTheNextOneAlone) {
  gate.granted(kFile, LeaseKind::read, 12);
  EXPECT_EQ(recall(11), LeaseGate::Recalled::absent);
  EXPECT_TRUE(gate.keeps(kFile, 12));
}

TEST_F(LeaseGateTest, AnOlderAnswerDoesNotTakeARightToWriteAway) {
  gate.granted(kFile, LeaseKind::read, 10);
  gate.granted(kFile, LeaseKind::write, 12);
  gate.granted(kFile, LeaseKind::read, 11);
  EXPECT_TRUE(gate.may_write(kFile));
  gate.granted(kFile, LeaseKind::read, 13);
  EXPECT_TRUE(gate.may_write(kFile)) << "only a recall takes it";
}

TEST_F(LeaseGateTest, ARecalledLeaseIsThereUntilItIsSettledButNotForTheKernel) {
  gate.granted(kFile, LeaseKind::write, 10);
  EXPECT_EQ(recall(11), LeaseGate::Recalled::begun);
  EXPECT_TRUE(gate.holds(kFile, 10)) << "the server waits for the answer";
  EXPECT_FALSE(gate.keeps(kFile, 10));
  EXPECT_FALSE(gate.may_write(kFile));
  EXPECT_TRUE(gate.is_recalled(kFile, LeaseKind::read));
  gate.granted(kFile, LeaseKind::write, 10);
  EXPECT_FALSE(gate.may_write(kFile)) << "nothing new before the answer";

  EXPECT_EQ(gate.settled(kFile, LeaseKind::none),
            (ReturnedLease{kFile, LeaseKind::none, 11, 0}));
  EXPECT_FALSE(gate.holds(kFile, 10));
  EXPECT_FALSE(gate.is_recalled(kFile, LeaseKind::read));
  gate.granted(kFile, LeaseKind::read, 10);
  EXPECT_FALSE(gate.holds(kFile, 10)) << "recalls are remembered";
}

TEST_F(LeaseGateTest, AWriterThatMayGoOnReadingLosesNothingItKnows) {
  gate.granted(kFile, LeaseKind::write, 10);
  EXPECT_EQ(recall(11, LeaseKind::read), LeaseGate::Recalled::begun);
  EXPECT_EQ(gate.leaves(kFile), LeaseKind::read);
  EXPECT_TRUE(gate.keeps(kFile, 10));
  EXPECT_FALSE(gate.is_recalled(kFile, LeaseKind::read));
  EXPECT_TRUE(gate.is_recalled(kFile, LeaseKind::write));
  EXPECT_EQ(gate.settled(kFile, LeaseKind::read),
            (ReturnedLease{kFile, LeaseKind::read, 11, 0}));
  EXPECT_TRUE(gate.keeps(kFile, 10));
  EXPECT_FALSE(gate.may_write(kFile));
  EXPECT_FALSE(gate.is_recalled(kFile, LeaseKind::write));
  gate.granted(kFile, LeaseKind::write, 12);
  EXPECT_TRUE(gate.may_write(kFile)) << "asked for again";
}

TEST_F(LeaseGateTest, SettlesForTheLeastThatIsAskedFor) {
  gate.granted(kFile, LeaseKind::write, 10);
  EXPECT_EQ(recall(11, LeaseKind::read), LeaseGate::Recalled::begun);
  EXPECT_EQ(recall(13, LeaseKind::none), LeaseGate::Recalled::settling);
  EXPECT_EQ(recall(12, LeaseKind::read), LeaseGate::Recalled::settling);
  EXPECT_EQ(gate.settled(kFile, LeaseKind::read), std::nullopt) << "less is to be kept by now";
  EXPECT_TRUE(gate.holds(kFile, 10));
  EXPECT_EQ(gate.settled(kFile, LeaseKind::none),
            (ReturnedLease{kFile, LeaseKind::none, 13, 0}));
}

TEST_F(LeaseGateTest, ALeaseForOneWriteIsGivenBackByTheOrderOfItsGrant) {
  gate.granted(kFile, LeaseKind::write_once, 10);
  EXPECT_TRUE(gate.may_write(kFile));
  EXPECT_TRUE(gate.holds(kFile, 10));
  EXPECT_FALSE(gate.keeps(kFile, 10)) << "it goes back at once";
  EXPECT_EQ(gate.to_give_back(kFile), 10U);
  gate.granted(kFile, LeaseKind::write_once, 11);
  EXPECT_EQ(gate.to_give_back(kFile), 11U);
  gate.granted(kFile, LeaseKind::write, 12);
  EXPECT_EQ(gate.to_give_back(kFile), std::nullopt) << "it has become a lasting one";
  EXPECT_EQ(gate.to_give_back(kOther), std::nullopt);
}

TEST_F(LeaseGateTest, WhatIsGrantedWhileALeaseGoesBackGoesToo) {
  gate.granted(kFile, LeaseKind::write_once, 10);
  EXPECT_EQ(recall(10), LeaseGate::Recalled::begun) << "by the mount itself";
  gate.granted(kFile, LeaseKind::write_once, 12);
  EXPECT_EQ(gate.settled(kFile, LeaseKind::none)->order, 12U);
  gate.granted(kFile, LeaseKind::write_once, 11);
  EXPECT_EQ(gate.size(), 0U);
}

TEST_F(LeaseGateTest, GrantsOlderThanTheRecallsItRemembersAreVoid) {
  constexpr std::uint64_t kApart = 32 * 1024;  // inodes that are kept in one place
  EXPECT_EQ(recall(10), LeaseGate::Recalled::absent);
  for (std::uint64_t i = 1; i <= LeaseGate::kRecallsKept; ++i)
    gate.recall({InodeId{kFile.value() + i * kApart}, LeaseKind::none}, 10 + i);
  gate.granted(kFile, LeaseKind::read, 9);
  EXPECT_FALSE(gate.holds(kFile, 9));
  const std::uint64_t later = 11 + LeaseGate::kRecallsKept;
  gate.granted(kFile, LeaseKind::read, later);
  EXPECT_TRUE(gate.holds(kFile, later));
}

TEST_F(LeaseGateTest, ForgetsTheLeaseOfAnInodeThatIsNoMore) {
  gate.granted(kFile, LeaseKind::write, 10);
  gate.gone(kFile);
  EXPECT_EQ(gate.size(), 0U);
  gate.granted(kOther, LeaseKind::read, 11);
  gate.recall({kOther, LeaseKind::none}, 12);
  gate.gone(kOther);
  EXPECT_EQ(gate.settled(kOther, LeaseKind::none)->order, 12U) << "whoever asked is answered";
}

// --- who waits -------------------------------------------------------------------------

TEST_F(LeaseGateTest, WhoWaitedGoesOnUnderALeaseThatNobodyWantsBack) {
  gate.granted(kFile, LeaseKind::read, 10);
  LeaseGate::Waiting reader(gate, kFile, {0, 10});
  EXPECT_FALSE(reader.end_under(LeaseKind::read, 9)) << "another lease than was looked at";
  recall(12, LeaseKind::read);
  LeaseGate::Waiting writer(gate, kFile, {0, 10});
  EXPECT_FALSE(writer.end_under(LeaseKind::write, 10));
  EXPECT_TRUE(reader.end_under(LeaseKind::read, 10));
  EXPECT_EQ(gate.waiting(kFile).size(), 1U) << "whoever forgets pages now waits for the reader";

  LeaseGate::Waiting later(gate, kFile, {4096, 10});
  recall(13);
  EXPECT_FALSE(later.end_under(LeaseKind::read, 10)) << "its pages have been left out";
  EXPECT_EQ(gate.waiting(kFile).size(), 2U);
  gate.settled(kFile, LeaseKind::none);
  EXPECT_FALSE(later.end_under(LeaseKind::read, 0)) << "there is none";
}

TEST_F(LeaseGateTest, TellsWhichRangesWait) {
  EXPECT_TRUE(gate.waiting(kFile).empty());
  {
    const LeaseGate::Waiting one(gate, kFile, {0, 10});
    const LeaseGate::Waiting same(gate, kFile, {0, 10});
    {
      const LeaseGate::Waiting another(gate, kFile, {4096, 1});
      const LeaseGate::Waiting elsewhere(gate, kOther, {7, 7});
      EXPECT_EQ(gate.waiting(kFile).size(), 3U);
    }
    ASSERT_EQ(gate.waiting(kFile).size(), 2U);
    EXPECT_EQ(gate.waiting(kFile).front(), (FileRange{0, 10}));
  }
  EXPECT_TRUE(gate.waiting(kFile).empty());
}

TEST_F(LeaseGateTest, NobodyWaitsForARecallThatLeavesEnough) {
  EXPECT_EQ(gate.wait_for_recall(kFile, LeaseKind::write, limits()), Wake::ready);
  gate.granted(kFile, LeaseKind::write, 10);
  EXPECT_EQ(gate.wait_for_recall(kFile, LeaseKind::write, limits()), Wake::ready);
  recall(11, LeaseKind::read);
  EXPECT_EQ(gate.wait_for_recall(kFile, LeaseKind::read, limits()), Wake::ready);
  interrupt.interrupt();
  EXPECT_EQ(gate.wait_for_recall(kFile, LeaseKind::write, limits()), Wake::interrupted);
}

// Each way in which a recall is over.
TEST_F(LeaseGateTest, WakesWhoWaitsForARecallWhenItIsOver) {
  const std::function<void()> ends[] = {
      [&] { gate.settled(kFile, LeaseKind::none); },
      [&] { gate.forget_all(); },
      [&] { gate.welcomed({.order = 99, .lost = {kFile}, .lease_time = kLeaseTime}); },
  };
  std::uint64_t order = 100;
  for (const auto& end : ends) {
    gate.granted(kFile, LeaseKind::write, ++order);
    ASSERT_EQ(recall(++order), LeaseGate::Recalled::begun);
    Wake wake = Wake::expired;
    std::thread waits(
        [&] { wake = gate.wait_for_recall(kFile, LeaseKind::read, {clock, nullptr, {}}); });
    end();
    waits.join();
    EXPECT_EQ(wake, Wake::ready);
    gate.welcomed({.order = order, .lost = {}, .lease_time = kLeaseTime});
  }
}

TEST_F(LeaseGateTest, AWaitForARecallEndsInTime) {
  gate.granted(kFile, LeaseKind::write, 10);
  recall(11);
  const WaitLimits until{clock, nullptr, clock.now() + 5s};
  clock.advance(5s);
  EXPECT_EQ(gate.wait_for_recall(kFile, LeaseKind::read, until), Wake::expired);
}

TEST_F(LeaseGateTest, ARecallOfWhatIsOnItsWayToSomebodyWaitsForHim) {
  const RecalledLease back{kFile, LeaseKind::none};
  EXPECT_FALSE(gate.is_about_to_be_used(back)) << "nobody asks";
  std::optional<LeaseGate::Asking> asking;
  asking.emplace(gate, kFile);
  EXPECT_TRUE(gate.is_about_to_be_used(back)) << "it must have been granted to him";
  EXPECT_FALSE(gate.is_about_to_be_used({kOther, LeaseKind::none}));
  asking->answered();
  gate.granted(kFile, LeaseKind::write, 10);
  EXPECT_TRUE(gate.is_about_to_be_used(back)) << "he has it, and uses it once";
  std::thread user([&] { asking.reset(); });
  gate.await_use(back, 10s);
  user.join();
  EXPECT_FALSE(gate.is_about_to_be_used(back));
}

TEST_F(LeaseGateTest, ARecallOfWhatIsHereWaitsForNobodyWhoWantsMore) {
  gate.granted(kFile, LeaseKind::read, 10);
  const LeaseGate::Asking asking(gate, kFile);
  EXPECT_FALSE(gate.is_about_to_be_used({kFile, LeaseKind::none}));
  EXPECT_TRUE(gate.is_about_to_be_used({kFile, LeaseKind::read})) << "he was granted more";
  gate.await_use({kFile, LeaseKind::read}, 1ms);
}

// --- the session -----------------------------------------------------------------------

TEST_F(LeaseGateTest, TrustsNobodyAfterHalfTheLeaseTimeOfSilence) {
  gate.granted(kFile, LeaseKind::write, 10);
  clock.advance(kLeaseTime / 2 - 1ns);
  EXPECT_TRUE(gate.holds(kFile, 10));
  clock.advance(1ns);
  EXPECT_FALSE(gate.holds(kFile, 10));
  EXPECT_FALSE(gate.keeps(kFile, 10));
  EXPECT_FALSE(gate.may_write(kFile));
  gate.confirmed(clock.now() - 1s);
  EXPECT_TRUE(gate.holds(kFile, 10)) << "the server knew the session a second ago";
  clock.advance(kLeaseTime / 2 - 1s);
  EXPECT_FALSE(gate.holds(kFile, 10));
}

TEST_F(LeaseGateTest, AnOldQuestionDoesNotShortenTrust) {
  gate.granted(kFile, LeaseKind::read, 10);
  const auto until = gate.trusted_until();
  gate.confirmed(clock.now() - 5s);
  EXPECT_EQ(gate.trusted_until(), until);
}

TEST_F(LeaseGateTest, TrustsNobodyBeforeTheFirstConnection) {
  LeaseGate fresh(clock);
  EXPECT_EQ(fresh.trusted_until(), std::nullopt);
  fresh.granted(kFile, LeaseKind::read, 10);
  EXPECT_FALSE(fresh.holds(kFile, 10));
  EXPECT_TRUE(fresh.lapse().empty()) << "nothing was told";
}

TEST_F(LeaseGateTest, SilenceGivesUpReadLeasesAndSaysSoOnce) {
  gate.granted(kFile, LeaseKind::write, 10);
  gate.granted(kOther, LeaseKind::read, 11);
  EXPECT_TRUE(gate.lapse().empty()) << "the server has just been heard";
  clock.advance(kLeaseTime / 2);
  const std::vector<InodeId> lapsed = gate.lapse();
  EXPECT_EQ(std::set<InodeId>(lapsed.begin(), lapsed.end()), (std::set<InodeId>{kFile, kOther}));
  EXPECT_TRUE(gate.lapse().empty()) << "it has been said";

  gate.confirmed(clock.now());
  EXPECT_TRUE(gate.may_write(kFile)) << "nobody can have got it: the session is still there";
  EXPECT_FALSE(gate.holds(kOther, 11));
  clock.advance(kLeaseTime / 2);
  EXPECT_EQ(gate.lapse(), std::vector<InodeId>{kFile}) << "another silence";
}

TEST_F(LeaseGateTest, SilenceLeavesARecallToWhoeverSettlesIt) {
  gate.granted(kFile, LeaseKind::read, 10);
  recall(11);
  clock.advance(kLeaseTime / 2);
  EXPECT_EQ(gate.lapse(), std::vector<InodeId>{kFile});
  EXPECT_EQ(gate.settled(kFile, LeaseKind::none)->order, 11U);
}

TEST_F(LeaseGateTest, ClaimsWhatItHas) {
  gate.granted(kFile, LeaseKind::write, 10);
  gate.granted(kOther, LeaseKind::read, 11);
  gate.granted(InodeId{7}, LeaseKind::write_once, 12);
  LeaseClaims claims = gate.claims();
  std::sort(claims.write.begin(), claims.write.end());
  EXPECT_EQ(claims.read, std::vector<InodeId>{kOther});
  EXPECT_EQ(claims.write, (std::vector<InodeId>{kFile, InodeId{7}}));
}

TEST_F(LeaseGateTest, ALeaseThatWasLostWhileAwayIsGone) {
  gate.granted(kFile, LeaseKind::write, 10);
  gate.granted(kOther, LeaseKind::read, 11);
  gate.claims();
  gate.welcomed({.order = 20, .lost = {kFile}, .lease_time = kLeaseTime});
  EXPECT_FALSE(gate.holds(kFile, 10));
  EXPECT_TRUE(gate.holds(kOther, 11));
  gate.granted(kFile, LeaseKind::read, 20);
  EXPECT_FALSE(gate.holds(kFile, 20)) << "an answer from before";
  gate.granted(kFile, LeaseKind::read, 21);
  EXPECT_TRUE(gate.holds(kFile, 21));
}

TEST_F(LeaseGateTest, WhatIsGrantedAfterTheClaimsWereMadeDoesNotCount) {
  gate.granted(kFile, LeaseKind::read, 10);
  EXPECT_EQ(gate.claims().read, std::vector<InodeId>{kFile});
  // Answers of the former connection, looked at late.
  gate.granted(kFile, LeaseKind::write, 11);
  gate.granted(kOther, LeaseKind::read, 12);
  gate.welcomed({.order = 20, .lost = {}, .lease_time = kLeaseTime});
  EXPECT_TRUE(gate.holds(kFile, 11)) << "the lease was there all the time";
  EXPECT_FALSE(gate.may_write(kFile)) << "but only one to read was claimed";
  EXPECT_FALSE(gate.holds(kOther, 12)) << "nothing was claimed";
  gate.granted(kFile, LeaseKind::write, 13);
  EXPECT_FALSE(gate.may_write(kFile));
}

TEST_F(LeaseGateTest, ANewSessionHasNothing) {
  gate.granted(kFile, LeaseKind::write, 10);
  recall(11);
  EXPECT_EQ(gate.forget_all(), std::vector<InodeId>{kFile});
  EXPECT_EQ(gate.settled(kFile, LeaseKind::none)->order, 0U) << "nobody waits for that answer";
  gate.granted(kFile, LeaseKind::write, 12);
  EXPECT_EQ(gate.size(), 0U) << "granted to the session that is over";
  gate.welcomed({.order = 20, .lost = {}, .lease_time = kLeaseTime});
  gate.granted(kFile, LeaseKind::read, 13);
  EXPECT_EQ(gate.size(), 0U);
  gate.granted(kFile, LeaseKind::read, 21);
  EXPECT_TRUE(gate.holds(kFile, 21));
}

}  // namespace
}  // namespace dfs
