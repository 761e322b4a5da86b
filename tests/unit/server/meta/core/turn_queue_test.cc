#include "server/meta/core/turn_queue.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace dfs {
namespace {

using Queue = TurnQueue<int>;

TEST(TurnQueue, TheFirstToBringSomethingGetsTheTurnAndOthersQueue) {
  Queue queue(10);
  EXPECT_EQ(queue.push(1, 1), Queue::Pushed::my_turn);
  EXPECT_EQ(queue.push(2, 1), Queue::Pushed::queued);
  std::vector<int> taken;
  EXPECT_TRUE(queue.take([](int) { return true; }, [&](int item) { taken.push_back(item); }));
  EXPECT_EQ(taken, (std::vector{1, 2}));
  EXPECT_FALSE(queue.take([](int) { return true; }, [](int) {})) << "which gives the turn up";
  EXPECT_EQ(queue.push(3, 1), Queue::Pushed::my_turn);
}

TEST(TurnQueue, RefusesWhatExceedsItsBoundButNeverAnythingWhenItIsEmpty) {
  Queue queue(10);
  EXPECT_EQ(queue.push(1, 100), Queue::Pushed::my_turn);
  EXPECT_EQ(queue.push(2, 1), Queue::Pushed::refused);
  EXPECT_EQ(queue.weight(), 100u);
}

TEST(TurnQueue, ATurnThatWasGivenUpCanBeClaimedOnlyIfSomethingIsLeft) {
  Queue queue(10);
  EXPECT_FALSE(queue.claim());
  (void)queue.push(1, 1);
  EXPECT_FALSE(queue.claim()) << "somebody has it";
  queue.release();
  EXPECT_TRUE(queue.claim());
}

TEST(TurnQueue, RefusesEverythingOnceItIsClosed) {
  Queue queue(10);
  queue.close();
  EXPECT_EQ(queue.push(1, 1), Queue::Pushed::refused);
}

TEST(TurnQueue, ManyThreadsGetEveryItemRunOnceAndOneAtATime) {
  constexpr int kThreads = 4;
  constexpr int kItems = 5'000;
  Queue queue(1'000'000);
  std::atomic<int> inside{0};
  std::atomic<bool> overlapped{false};
  long sum = 0;  // unguarded on purpose: the turn is what guards it
  const auto run = [&] {
    do {
      std::vector<int> taken;
      while (queue.take([&](int) { return taken.size() < 3; },
                        [&](int item) { taken.push_back(item); })) {
        if (inside.fetch_add(1) != 0) overlapped = true;
        for (const int item : taken) sum += item;
        inside.fetch_sub(1);
        taken.clear();
        queue.release();
        if (!queue.claim()) return;
      }
    } while (queue.claim());
  };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&] {
      for (int item = 1; item <= kItems; ++item)
        if (queue.push(int{item}, 1) == Queue::Pushed::my_turn) run();
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(overlapped);
  EXPECT_EQ(sum, kThreads * (long{kItems} * (kItems + 1) / 2));
  EXPECT_EQ(queue.weight(), 0u);
}

}  // namespace
}  // namespace dfs
