// Locks of programs on several mounts, and the bytes that they keep in order.
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

FileLock posix(std::uint64_t owner, LockKind kind, std::uint64_t start = 0,
               std::uint64_t end = kLockEndMax) {
  return {LockFamily::posix, kind, owner, start, end, 4711};
}
FileLock flock(std::uint64_t owner, LockKind kind) {
  return {LockFamily::flock, kind, owner, 0, kLockEndMax, 4711};
}

// How a wait ended; "waits" while it has not.
struct Outcome {
  FileSystem::LockDone done() {
    return [this](const Result<Locked>& result) {
      const std::lock_guard lock(mutex);
      EXPECT_FALSE(over) << "told once";
      code = result ? Errc::ok : result.error().code;
      keep_cache = result && result->keep_cache;
      over = true;
      changed.notify_all();
    };
  }
  Errc await() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return over; });
    return code;
  }
  bool waits() {
    const std::lock_guard lock(mutex);
    return !over;
  }
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;
  Errc code = Errc::ok;
  bool keep_cache = false;
};

class EngineLocksTest : public ::testing::Test {
 protected:
  EngineLocksTest() {
    here_.fs->close(here_.create("a"));
    mine_ = here_.open("a", true).file;
    theirs_ = there_.open("a", true).file;
  }
  ~EngineLocksTest() override {
    if (mine_) here_.fs->close(mine_);
    if (theirs_) there_.fs->close(theirs_);
    for (const std::string& violation : cluster_.meta.violations()) ADD_FAILURE() << violation;
  }
  static Errc set(FakeMount& mount, const OpenFilePtr& file, const FileLock& lock) {
    const Result<Locked> locked = mount.fs->set_lock(*file, lock, mount.context);
    return locked ? Errc::ok : locked.error().code;
  }
  Errc here(const FileLock& lock) { return set(here_, mine_, lock); }
  Errc there(const FileLock& lock) { return set(there_, theirs_, lock); }

  SystemClock clock_;
  FakeCluster cluster_{clock_};
  FakeMount here_{cluster_};
  FakeMount there_{cluster_};
  OpenFilePtr mine_;
  OpenFilePtr theirs_;
};

TEST_F(EngineLocksTest, ExcludeTheOtherMount) {
  for (const bool whole : {false, true}) {
    const auto lock = [&](LockKind kind) { return whole ? flock(1, kind) : posix(1, kind, 0, 10); };
    EXPECT_EQ(here(lock(LockKind::exclusive)), Errc::ok);
    EXPECT_EQ(there(lock(LockKind::exclusive)), Errc::again);
    EXPECT_EQ(here(lock(LockKind::shared)), Errc::ok);
    EXPECT_EQ(there(lock(LockKind::shared)), Errc::ok);
    EXPECT_EQ(here(lock(LockKind::exclusive)), Errc::again);
    EXPECT_EQ(here(lock(LockKind::unlocked)), Errc::ok);
    EXPECT_EQ(there(lock(LockKind::exclusive)), Errc::ok);
    EXPECT_EQ(there(lock(LockKind::unlocked)), Errc::ok);
  }
  EXPECT_EQ(cluster_.meta.locks(), 0u);
}

TEST_F(EngineLocksTest, AreToldWithTheProcessOfThisMountOnly) {
  EXPECT_EQ(here(posix(1, LockKind::exclusive, 5, 9)), Errc::ok);
  const auto asked = [](FakeMount& mount, OpenFile& file) {
    return mount.fs->get_lock(file, posix(2, LockKind::shared), mount.context).value();
  };
  EXPECT_EQ(asked(here_, *mine_), posix(1, LockKind::exclusive, 5, 9));
  FileLock foreign = posix(1, LockKind::exclusive, 5, 9);
  foreign.process = 0;
  EXPECT_EQ(asked(there_, *theirs_), foreign);
  EXPECT_EQ(here(posix(1, LockKind::unlocked)), Errc::ok);
  EXPECT_FALSE(asked(there_, *theirs_));
}

TEST_F(EngineLocksTest, AWaitEndsWhenTheOtherMountUnlocks) {
  EXPECT_EQ(here(posix(1, LockKind::exclusive)), Errc::ok);
  Outcome outcome;
  const auto wait =
      there_.fs->wait_for_lock(theirs_, posix(1, LockKind::exclusive), {}, outcome.done());
  EXPECT_TRUE(outcome.waits());
  EXPECT_EQ(here(posix(1, LockKind::unlocked)), Errc::ok);
  EXPECT_EQ(outcome.await(), Errc::ok);
  EXPECT_EQ(here(posix(1, LockKind::shared)), Errc::again);
  wait->give_up();
  EXPECT_EQ(here(posix(1, LockKind::shared)), Errc::again) << "too late to give up";
}

TEST_F(EngineLocksTest, AWaitThatIsGivenUpLeavesNothingBehind) {
  EXPECT_EQ(here(posix(1, LockKind::exclusive)), Errc::ok);
  Outcome outcome;
  const auto wait =
      there_.fs->wait_for_lock(theirs_, posix(1, LockKind::exclusive), {}, outcome.done());
  wait->give_up();
  EXPECT_EQ(outcome.await(), Errc::interrupted);
  EXPECT_EQ(cluster_.meta.lock_waits(), 0u);
  EXPECT_EQ(here(posix(1, LockKind::unlocked)), Errc::ok);
  EXPECT_EQ(cluster_.meta.locks(), 0u);
}

TEST_F(EngineLocksTest, AWaitIsGivenUpWhileTheServerIsAway) {
  there_.meta.set_away(true);
  Outcome outcome;
  const auto wait =
      there_.fs->wait_for_lock(theirs_, posix(1, LockKind::exclusive), {}, outcome.done());
  wait->give_up();
  EXPECT_EQ(outcome.await(), Errc::interrupted);
  there_.meta.set_away(false);
  EXPECT_EQ(cluster_.meta.locks(), 0u) << "what was granted after all has been removed";
}

TEST_F(EngineLocksTest, AnInterruptedRequestLeavesNothingBehind) {
  EXPECT_EQ(here(posix(1, LockKind::shared, 0, 10)), Errc::ok);
  Interrupt interrupt;
  here_.meta.hold_answers();
  std::thread signal([&] {
    here_.meta.await_waiting(1);
    interrupt.interrupt();
  });
  const auto locked =
      here_.fs->set_lock(*mine_, posix(1, LockKind::exclusive, 5, 20), {{}, &interrupt});
  signal.join();
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().code, Errc::interrupted);
  here_.meta.release_answers();
  EXPECT_EQ(here_.meta.calls<CancelLockArgs>(), 1u) << "the server may have put it off";
  EXPECT_EQ(there(posix(1, LockKind::exclusive, 10, 20)), Errc::ok) << "never granted to anybody";
  EXPECT_EQ(there(posix(1, LockKind::shared, 0, 10)), Errc::ok) << "shared as before";
  EXPECT_EQ(there(posix(1, LockKind::exclusive, 0, 10)), Errc::again);
}

TEST_F(EngineLocksTest, ADeadlockAcrossMountsIsTold) {
  EXPECT_EQ(here(posix(1, LockKind::exclusive, 0, 1)), Errc::ok);
  EXPECT_EQ(there(posix(1, LockKind::exclusive, 1, 2)), Errc::ok);
  Outcome first;
  Outcome second;
  const auto wait =
      here_.fs->wait_for_lock(mine_, posix(1, LockKind::exclusive, 1, 2), {}, first.done());
  there_.fs->wait_for_lock(theirs_, posix(1, LockKind::exclusive, 0, 1), {}, second.done());
  EXPECT_EQ(second.await(), Errc::deadlock);
  EXPECT_EQ(there(posix(1, LockKind::unlocked)), Errc::ok);
  EXPECT_EQ(first.await(), Errc::ok);
}

TEST_F(EngineLocksTest, WhatWasWrittenUnderALockIsSeenByWhoeverGetsItNext) {
  for (int turn = 0; turn < 3; ++turn) {
    const std::string text = "turn " + std::to_string(turn);
    EXPECT_EQ(here(posix(1, LockKind::exclusive)), Errc::ok);
    ASSERT_TRUE(here_.write(*mine_, 0, text));
    EXPECT_EQ(here(posix(1, LockKind::unlocked)), Errc::ok);
    EXPECT_EQ(there(posix(1, LockKind::exclusive)), Errc::ok);
    EXPECT_EQ(there_.read(*theirs_, 0, 100), text);
    ASSERT_TRUE(there_.write(*theirs_, 0, "TURN"));
    EXPECT_EQ(there(posix(1, LockKind::shared)), Errc::ok);
    EXPECT_EQ(here(posix(1, LockKind::shared)), Errc::ok) << "a weaker lock lets readers in";
    EXPECT_EQ(here_.read(*mine_, 0, 4), "TURN");
    EXPECT_EQ(here(posix(1, LockKind::unlocked)), Errc::ok);
    EXPECT_EQ(there(posix(1, LockKind::unlocked)), Errc::ok);
  }
}

TEST_F(EngineLocksTest, TheKernelForgetsOnlyWhatOthersChanged) {
  const auto keeps = [&](FakeMount& mount, const OpenFilePtr& file) {
    const auto locked = mount.fs->set_lock(*file, posix(1, LockKind::exclusive), mount.context);
    EXPECT_TRUE(locked);
    const bool kept = locked && locked->keep_cache;
    EXPECT_TRUE(mount.write(*file, 0, "text"));
    EXPECT_EQ(set(mount, file, posix(1, LockKind::unlocked)), Errc::ok);
    return kept;
  };
  keeps(here_, mine_);
  EXPECT_TRUE(keeps(here_, mine_)) << "only we wrote";
  EXPECT_FALSE(keeps(there_, theirs_));
  EXPECT_TRUE(keeps(there_, theirs_));
  EXPECT_FALSE(keeps(here_, mine_));
  EXPECT_TRUE(keeps(here_, mine_));
}

TEST_F(EngineLocksTest, ClosingAnyDescriptorEndsAProcesssLocks) {
  EXPECT_EQ(here(posix(1, LockKind::exclusive, 0, 10)), Errc::ok);
  EXPECT_EQ(here(posix(2, LockKind::exclusive, 10, 20)), Errc::ok);
  EXPECT_EQ(here(flock(1, LockKind::exclusive)), Errc::ok);
  ASSERT_TRUE(here_.write(*mine_, 0, "written under it"));
  const OpenFilePtr another = here_.open("a").file;
  const CallContext at_once{.caller = {}, .interrupt = nullptr, .may_wait = false};
  EXPECT_EQ(here_.fs->release_locks(*another, 1, at_once).error().code, Errc::would_wait);
  EXPECT_TRUE(here_.fs->release_locks(*another, 1, {}));
  EXPECT_TRUE(here_.fs->release_locks(*another, 1, at_once)) << "nothing is left to do";
  EXPECT_EQ(there(posix(1, LockKind::exclusive, 0, 10)), Errc::ok);
  EXPECT_EQ(there_.read(*theirs_, 0, 100), "written under it");
  EXPECT_EQ(there(posix(1, LockKind::exclusive, 10, 20)), Errc::again) << "another process's";
  EXPECT_EQ(there(flock(1, LockKind::exclusive)), Errc::again) << "of the open file";
  here_.fs->close(another);
  EXPECT_EQ(there(flock(1, LockKind::exclusive)), Errc::again) << "of the other open file";
  here_.fs->close(std::exchange(mine_, nullptr));
  EXPECT_EQ(there(flock(1, LockKind::exclusive)), Errc::ok);
}

// A program is killed: the flush of its file is interrupted at once.
TEST_F(EngineLocksTest, AKilledProgramsLocksEndAfterItsBytesAreThere) {
  EXPECT_EQ(here(posix(1, LockKind::exclusive)), Errc::ok);
  EXPECT_EQ(here(flock(1, LockKind::exclusive)), Errc::ok);
  Outcome outcome;
  Outcome of_flock;
  there_.fs->wait_for_lock(theirs_, posix(1, LockKind::exclusive), {}, outcome.done());
  there_.fs->wait_for_lock(theirs_, flock(1, LockKind::exclusive), {}, of_flock.done());
  const auto hold = [&](bool holds) {
    for (std::uint32_t id = 1; id <= 3; ++id)
      cluster_.storage.change(ServerId{id}, [holds](FakeServerMood& mood) { mood.holds = holds; });
  };
  hold(true);
  ASSERT_TRUE(here_.write(*mine_, 0, "the last words"));
  Interrupt interrupt;
  interrupt.interrupt();
  EXPECT_TRUE(here_.fs->release_locks(*mine_, 1, {{}, &interrupt})) << "it does not hang";
  here_.fs->close(std::exchange(mine_, nullptr));
  EXPECT_TRUE(outcome.waits());
  EXPECT_TRUE(of_flock.waits());
  hold(false);
  EXPECT_EQ(outcome.await(), Errc::ok);
  EXPECT_EQ(of_flock.await(), Errc::ok);
  EXPECT_EQ(there_.read(*theirs_, 0, 100), "the last words");
}

TEST_F(EngineLocksTest, AnUnlockThatIsInterruptedWhileBytesAreUnsentKeepsTheLock) {
  EXPECT_EQ(here(posix(1, LockKind::exclusive)), Errc::ok);
  for (std::uint32_t id = 1; id <= 3; ++id)
    cluster_.storage.change(ServerId{id}, [](FakeServerMood& mood) { mood.holds = true; });
  ASSERT_TRUE(here_.write(*mine_, 0, "unsent"));
  Interrupt interrupt;
  interrupt.interrupt();
  const auto unlocked =
      here_.fs->set_lock(*mine_, posix(1, LockKind::unlocked), {{}, &interrupt});
  ASSERT_FALSE(unlocked);
  EXPECT_EQ(unlocked.error().code, Errc::interrupted);
  EXPECT_EQ(there(posix(1, LockKind::shared)), Errc::again);
  for (std::uint32_t id = 1; id <= 3; ++id)
    cluster_.storage.change(ServerId{id}, [](FakeServerMood& mood) { mood.holds = false; });
  EXPECT_EQ(here(posix(1, LockKind::unlocked)), Errc::ok);
  EXPECT_EQ(there(posix(1, LockKind::shared)), Errc::ok);
}

TEST_F(EngineLocksTest, AreSaidAgainAndLostWithTheSession) {
  EXPECT_EQ(here(posix(1, LockKind::exclusive, 0, 10)), Errc::ok);
  EXPECT_EQ(here(flock(1, LockKind::shared)), Errc::ok);
  EXPECT_EQ(here_.fs->held_locks().size(), 2u);
  cluster_.meta.end_session(here_.meta.session());
  here_.fs->session_replaced();
  EXPECT_TRUE(here_.fs->held_locks().empty());
  EXPECT_EQ(there(posix(1, LockKind::exclusive)), Errc::ok);
  EXPECT_EQ(here(posix(1, LockKind::unlocked)), Errc::ok) << "nothing to remove is no error";
}

TEST_F(EngineLocksTest, AnOpenTellsWhetherClosingMayEndALock) {
  const auto was_locked = [&](FakeMount& mount) {
    const Opened opened = mount.open("a");
    mount.fs->close(opened.file);
    return opened.was_locked_here;
  };
  EXPECT_EQ(here(flock(1, LockKind::exclusive)), Errc::ok);
  EXPECT_FALSE(was_locked(here_)) << "that ends with its own open file";
  EXPECT_EQ(here(posix(1, LockKind::exclusive)), Errc::ok);
  EXPECT_TRUE(was_locked(here_));
  EXPECT_FALSE(was_locked(there_));
}

TEST_F(EngineLocksTest, FilesThatNobodyLockedCostNothingMore) {
  ASSERT_TRUE(here_.write(*mine_, 0, "text"));
  EXPECT_EQ(here(posix(1, LockKind::unlocked)), Errc::ok);
  EXPECT_TRUE(here_.fs->release_locks(*mine_, 1, {}));
  EXPECT_EQ(here_.meta.calls<SetLockArgs>(), 0u);
  EXPECT_EQ(here_.meta.calls<CommitArgs>(), 0u);
}

}  // namespace
}  // namespace dfs
