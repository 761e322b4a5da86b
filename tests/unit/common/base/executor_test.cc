#include "common/base/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>

namespace dfs {
namespace {

TEST(Executor, RunsTasksOfOneThreadInOrder) {
  std::vector<int> order;
  {
    Executor executor({.name = "test", .threads = 1, .queue_max = 100});
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(executor.submit([&order, i] { order.push_back(i); }));
  }
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(Executor, RefusesOneTaskMoreThanItsQueueHolds) {
  std::promise<void> started, go;
  Executor executor({.name = "test", .threads = 1, .queue_max = 2});
  ASSERT_TRUE(executor.submit([&] {
    started.set_value();
    go.get_future().wait();
  }));
  started.get_future().wait();
  std::atomic<int> ran = 0;
  EXPECT_TRUE(executor.submit([&] { ++ran; }));
  EXPECT_TRUE(executor.submit([&] { ++ran; }));
  EXPECT_EQ(executor.queued(), 2u);
  EXPECT_FALSE(executor.submit([&] { ran += 100; }));
  go.set_value();
  executor.stop();
  EXPECT_EQ(ran, 2);
}

TEST(Executor, RunsWhatItAcceptedBeforeItStopsAndNothingAfter) {
  std::atomic<int> ran = 0;
  Executor executor({.name = "a-name-that-is-too-long", .threads = 3, .queue_max = 1000});
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(executor.submit([&] { ++ran; }));
  executor.stop();
  EXPECT_EQ(ran, 1000);
  EXPECT_FALSE(executor.submit([&] { ++ran; }));
  executor.stop();
  EXPECT_EQ(ran, 1000);
}

TEST(Executor, DestroysATaskBeforeTheNextOneRuns) {
  auto held = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = held;
  std::promise<bool> gone;
  Executor executor({.name = "test", .threads = 1, .queue_max = 10});
  ASSERT_TRUE(executor.submit([held = std::move(held)] { ++*held; }));
  ASSERT_TRUE(executor.submit([&] { gone.set_value(watched.expired()); }));
  EXPECT_TRUE(gone.get_future().get());
}

}  // namespace
}  // namespace dfs
