#include "tests/history/linearize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

namespace dfs::history {
namespace {

using Verdict = Linearization::Verdict;

Step assign(std::uint32_t value, std::int64_t begun, std::int64_t ended) {
  return {begun, ended, 0, false, [value](State& state) {
            state[0] = value;
            return true;
          }};
}
Step expect(std::uint32_t value, std::int64_t begun, std::int64_t ended) {
  return {begun, ended, 0, true, [value](State& state) { return state[0] == value; }};
}
// Takes a value only from the one before.
Step exchange(std::uint32_t from, std::uint32_t to, std::int64_t begun, std::int64_t ended) {
  return {begun, ended, 0, false, [from, to](State& state) { return std::exchange(state[0], to) == from; }};
}

// Every order of the steps, tried.
bool some_order_works(const std::vector<Step>& steps) {
  std::vector<std::size_t> order(steps.size());
  std::iota(order.begin(), order.end(), 0);
  const auto works = [&](std::size_t count) {
    State state{0};
    std::vector<bool> done(steps.size(), false);
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = i + 1; j < count; ++j)
        if (steps[order[j]].ended < steps[order[i]].begun) return false;
      done[order[i]] = true;
      if (!steps[order[i]].apply(state)) return false;
    }
    for (std::size_t i = 0; i < steps.size(); ++i)
      if (!done[i] && steps[i].ended != kNever) return false;
    return true;
  };
  do {
    for (std::size_t count = 0; count <= steps.size(); ++count)
      if (works(count)) return true;
  } while (std::ranges::next_permutation(order).found);
  return false;
}

TEST(Linearize, FindsAnOrderExactlyWhenTryingAllOrdersDoes) {
  int found = 0;
  for (unsigned seed = 1; seed <= 3'000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto below = [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); };
    std::vector<Step> steps;
    for (std::uint32_t i = 0, count = 2 + below(5); i < count; ++i) {
      const std::int64_t begun = below(12);
      const std::int64_t ended = below(6) == 0 ? kNever : begun + below(8);
      const std::uint32_t kind = below(3);
      if (kind == 0) steps.push_back(assign(below(3), begun, ended));
      if (kind == 1) steps.push_back(expect(below(3), begun, ended));
      if (kind == 2) steps.push_back(exchange(below(3), below(3), begun, ended));
    }
    const Verdict verdict = linearize({0}, steps, {}).verdict;
    ASSERT_EQ(verdict == Verdict::found, some_order_works(steps));
    found += verdict == Verdict::found;
  }
  EXPECT_GT(found, 300);  // both answers come often enough to mean something
  EXPECT_LT(found, 2'700);
}

TEST(Linearize, BlamesTheFirstEndThatNothingExplains) {
  const std::vector<Step> steps{assign(1, 0, 1), expect(2, 6, 7), expect(3, 4, 9), assign(2, 2, 3)};
  EXPECT_EQ(linearize({0}, steps, {}).verdict, Verdict::impossible);
  EXPECT_EQ(linearize({0}, steps, {}).culprit, 2U);
  EXPECT_EQ(linearize({0}, steps, {}).before, std::vector<State>{{2}});
}

TEST(Linearize, GivesUpInsteadOfRunningForEver) {
  std::vector<Step> steps;
  for (std::uint32_t i = 0; i < 30; ++i) steps.push_back(exchange(100 + i, i, 0, 10));
  for (std::uint32_t i = 0; i < 30; ++i) steps.push_back(assign(100 + i, 0, 10));
  EXPECT_EQ(linearize({0}, steps, {.tries_max = 10'000}).verdict, Verdict::undecided);
}

TEST(Linearize, GivesUpWhenTooManyAreUnderWay) {
  std::vector<Step> steps;
  for (std::size_t i = 0; i <= kUnderWayMax; ++i) steps.push_back(assign(1, 0, kNever));
  EXPECT_EQ(linearize({0}, steps, {}).verdict, Verdict::undecided);
  steps.pop_back();
  EXPECT_EQ(linearize({0}, steps, {}).verdict, Verdict::found);
}

TEST(Linearize, IsNotSlowedDownByManyOutcomesThatAreUnknown) {
  std::vector<Step> steps;
  for (std::uint32_t i = 1; i <= 40; ++i) steps.push_back(assign(i, 0, kNever));
  for (std::int64_t time = 1; time < 200; time += 2) steps.push_back(assign(0, time, time + 1));
  steps.push_back(expect(40, 300, 301));
  const Linearization linearization = linearize({0}, steps, {.tries_max = 400'000});
  EXPECT_EQ(linearization.verdict, Verdict::found);
}

}  // namespace
}  // namespace dfs::history
