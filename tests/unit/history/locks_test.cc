#include <gmock/gmock.h>

#include "tests/unit/history/histories.h"

namespace dfs::history {
namespace {

using ::testing::HasSubstr;
constexpr Sharing kExclusive = Sharing::exclusive;
constexpr Sharing kShared = Sharing::shared;

TEST(HistoryOfALock, IsRightWhenOneHasItAfterTheOther) {
  EXPECT_EQ(judged({lock("a", kExclusive, {0, 1}), lock("b", kExclusive, {2, 9}), unlock("a", {5, 6}),
                    lock("c", kExclusive, {10, 11}, Answer::busy), unlock("b", {12, 13}),
                    lock("c", kExclusive, {14, 15})}),
            "ok");
}

TEST(HistoryOfALock, IsWrongWhenTwoHaveIt) {
  const std::string text =
      judged({lock("a", kExclusive, {0, 1}), lock("b", kExclusive, {2, 3}), unlock("a", {4, 5}), unlock("b", {6, 7})});
  EXPECT_THAT(text, HasSubstr("lock o"));
  EXPECT_THAT(text, HasSubstr("a has it"));
}

TEST(HistoryOfALock, LetsReadersShareItAndNobodyElse) {
  EXPECT_EQ(judged({lock("a", kShared, {0, 1}), lock("b", kShared, {2, 3}), unlock("a", {4, 5}),
                    lock("c", kExclusive, {6, 7}, Answer::busy)}),
            "ok");
  EXPECT_NE(judged({lock("a", kShared, {0, 1}), lock("b", kExclusive, {2, 3})}), "ok");
  EXPECT_NE(judged({lock("a", kExclusive, {0, 1}), lock("b", kShared, {2, 3})}), "ok");
}

TEST(HistoryOfALock, IsWrongWhenNobodyHasItAndItIsRefused) {
  EXPECT_NE(judged({lock("a", kExclusive, {0, 1}), unlock("a", {2, 3}), lock("b", kExclusive, {4, 5}, Answer::busy)}),
            "ok");
}

TEST(HistoryOfALock, LetsTheLockOfADeadClientGoAtAnyTime) {
  const std::vector<Operation> died{lock("a", kExclusive, {0, 1}), unlock("a", {2, {}})};
  auto with = [&](const Operation& more) {
    std::vector<Operation> history = died;
    history.push_back(more);
    return judged(history);
  };
  EXPECT_EQ(with(lock("b", kExclusive, {10, 11})), "ok");
  EXPECT_EQ(with(lock("b", kExclusive, {10, 11}, Answer::busy)), "ok");
}

}  // namespace
}  // namespace dfs::history
