#include "tests/sim/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <semaphore>
#include <set>
#include <shared_mutex>
#include <string>
#include <thread>

#include <sys/random.h>

namespace dfs::sim {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

// What three threads write, each its letter a few times.
std::string letters_of(std::uint64_t seed) {
  Scheduler scheduler({.seed = seed, .one_in_preemptions = 3});
  std::mutex mutex;
  std::string letters;
  const auto write = [&](char letter) {
    for (int times = 0; times < 5; ++times) {
      const std::lock_guard lock(mutex);
      letters += letter;
    }
  };
  std::thread a(write, 'a');
  std::thread b(write, 'b');
  std::thread c(write, 'c');
  a.join();
  b.join();
  c.join();
  return letters;
}

TEST(Scheduler, RepeatsAnOrderExactly) {
  for (std::uint64_t seed = 1; seed < 50; ++seed) EXPECT_EQ(letters_of(seed), letters_of(seed)) << "seed " << seed;
}

TEST(Scheduler, FindsManyOrders) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 1; seed < 50; ++seed) orders.insert(letters_of(seed));
  EXPECT_GT(orders.size(), 40u);
}

TEST(Scheduler, LetsNoTimePassWhileAnybodyCanGoOn) {
  Scheduler scheduler({});
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  bool in_time = false;
  std::thread waits([&] {
    std::unique_lock lock(mutex);
    in_time = changed.wait_for(lock, 1ns, [&] { return done; });
  });
  std::thread is_slow([&] {
    for (int turns = 0; turns < 1'000; ++turns) std::this_thread::yield();
    const std::lock_guard lock(mutex);
    done = true;
    changed.notify_all();
  });
  is_slow.join();
  waits.join();
  EXPECT_TRUE(in_time);
}

TEST(Scheduler, EndsEachSleepAtItsTime) {
  Scheduler scheduler({});
  const Clock::time_point start = Clock::now();
  std::vector<Clock::duration> ends;
  const auto sleep = [&](Clock::duration time) {
    std::this_thread::sleep_for(time);
    ends.push_back(Clock::now() - start);
  };
  std::thread longest(sleep, 3h);
  std::thread shortest(sleep, 1s);
  std::thread other(sleep, 2s);
  scheduler.settle();
  EXPECT_EQ(scheduler.next_timer(), scheduler.now() + 1s);
  scheduler.advance_to(scheduler.now() + 2s);
  EXPECT_THAT(ends, ::testing::ElementsAre(1s, 2s));
  EXPECT_EQ(Clock::now() - start, 2s);
  longest.join();  // time passes where nothing else is to be done
  EXPECT_EQ(Clock::now() - start, 3h);
  shortest.join();
  other.join();
}

TEST(Scheduler, LetsTheOthersGoOnSoFar) {
  Scheduler scheduler({});
  int turns = 0;
  std::thread counts([&] {
    for (; turns < 100; ++turns) std::this_thread::yield();
  });
  scheduler.let_run(0);
  EXPECT_EQ(turns, 0);
  scheduler.let_run(10);
  EXPECT_EQ(turns, 9);  // it stands in the yield that follows the ninth
  scheduler.settle();
  EXPECT_EQ(turns, 100);
  counts.join();
}

TEST(Scheduler, WakesWhomTheSeedSays) {
  std::set<int> first;
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    Scheduler scheduler({.seed = seed});
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<int> woken;
    const auto wait = [&](int number) {
      std::unique_lock lock(mutex);
      changed.wait(lock);
      woken.push_back(number);
    };
    std::thread one(wait, 1);
    std::thread two(wait, 2);
    scheduler.settle();
    changed.notify_one();
    scheduler.settle();
    ASSERT_EQ(woken.size(), 1u);
    first.insert(woken[0]);
    changed.notify_one();
    one.join();
    two.join();
  }
  EXPECT_EQ(first.size(), 2u);
}

struct Once {
  static int made;
  Once() {
    for (int turns = 0; turns < 10; ++turns) std::this_thread::yield();
    ++made;
  }
};
int Once::made = 0;

// Each of them would stop the process if it waited where nobody sees it.
TEST(Scheduler, SeesWhateverThreadsWaitFor) {
  for (std::uint64_t seed = 1; seed < 50; ++seed) {
    Scheduler scheduler({.seed = seed, .one_in_preemptions = 2});
    std::shared_mutex shared;
    std::binary_semaphore semaphore{1};
    std::once_flag flag;
    std::atomic<int> done{0};
    bool were_two_inside = false;
    const auto be_in = [&](int& inside) {
      were_two_inside |= ++inside != 1;
      std::this_thread::yield();
      --inside;
    };
    int with_semaphore = 0;
    int with_lock = 0;
    const auto work = [&] {
      static const Once once;
      std::call_once(flag, [] { std::this_thread::yield(); });
      semaphore.acquire();
      be_in(with_semaphore);
      semaphore.release();
      {
        const std::shared_lock reads(shared);
        std::this_thread::yield();
      }
      {
        const std::lock_guard writes(shared);
        be_in(with_lock);
      }
      ++done;
      done.notify_all();
    };
    std::thread one(work);
    std::thread two(work);
    for (int seen = done; seen < 2; seen = done) done.wait(seen);
    one.join();
    two.join();
    EXPECT_FALSE(were_two_inside) << "seed " << seed;
  }
  EXPECT_EQ(Once::made, 1);
}

TEST(Scheduler, DrawsWhatIsRandomElsewhere) {
  const auto drawn = [] {
    const Scheduler scheduler({.seed = 7});
    std::uint64_t number = 0;
    EXPECT_EQ(::getrandom(&number, sizeof number, 0), static_cast<ssize_t>(sizeof number));
    return number;
  };
  EXPECT_EQ(drawn(), drawn());
}

TEST(Scheduler, SaysWhoWaitsForWhatWhenNobodyCanGoOn) {
  const auto lock_crosswise = [] {
    Scheduler scheduler({.stuck = [](const std::string& threads) { std::fputs(threads.c_str(), stderr); }});
    std::mutex left;
    std::mutex right;
    int have_one = 0;
    const auto take = [&](std::mutex& first, std::mutex& second) {
      const std::lock_guard one(first);
      for (++have_one; have_one < 2;) std::this_thread::yield();
      const std::lock_guard two(second);
    };
    std::thread a(take, std::ref(left), std::ref(right));
    std::thread b(take, std::ref(right), std::ref(left));
    ::pthread_setname_np(a.native_handle(), "crosswise");
    a.join();
    b.join();
  };
  EXPECT_EXIT(lock_crosswise(), ::testing::ExitedWithCode(1), HasSubstr("(crosswise) waits for a lock"));
}

TEST(Scheduler, LeavesThreadsOfOthersAlone) {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::thread thread([&] {
    const std::lock_guard lock(mutex);
    done = true;
    changed.notify_all();
  });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done; });
  }
  thread.join();
  EXPECT_EQ(Scheduler::here(), nullptr);
}

}  // namespace
}  // namespace dfs::sim
