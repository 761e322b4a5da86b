#include <gmock/gmock.h>

#include "tests/unit/history/histories.h"

namespace dfs::history {
namespace {

using ::testing::HasSubstr;

TEST(HistoryOfARegister, IsRightWhenReadsSeeTheLatestWrite) {
  EXPECT_EQ(judged({read("a", "", {0, 1}), write("a", "1", {2, 3}), read("b", "1", {4, 5}), write("b", "2", {6, 7}),
                    read("a", "2", {8, 9})}),
            "ok");
}

TEST(HistoryOfARegister, LetsAReadBesideAWriteSeeEitherValue) {
  EXPECT_EQ(judged({write("a", "1", {0, 10}), read("b", "", {2, 3}), read("c", "1", {4, 5})}), "ok");
  EXPECT_EQ(judged({write("a", "1", {0, 10}), read("b", "1", {10, 11})}), "ok");
  EXPECT_EQ(judged({write("a", "1", {0, 10}), read("b", "", {10, 11})}), "ok");
}

TEST(HistoryOfARegister, IsWrongWhenAReadIsStale) {
  const std::string text = judged({write("a", "1", {0, 1}), write("a", "2", {2, 3}), read("b", "1", {4, 5})});
  EXPECT_THAT(text, HasSubstr("register o"));
  EXPECT_THAT(text, HasSubstr("without it and what was under way: \"2\""));
  EXPECT_THAT(text, HasSubstr("b: read o = \"1\", from 0.000 to 0.000 ms"));
}

TEST(HistoryOfARegister, IsWrongWhenTheOldValueComesBackBesideTheWrite) {
  EXPECT_NE(judged({write("a", "1", {0, 10}), read("b", "1", {2, 3}), read("c", "", {4, 5})}), "ok");
}

TEST(HistoryOfARegister, IsWrongWhenWhatIsReadWasNotYetOrNeverWritten) {
  EXPECT_NE(judged({read("b", "1", {0, 1}), write("a", "1", {2, 3})}), "ok");
  EXPECT_NE(judged({read("b", "torn", {0, 1})}), "ok");
}

TEST(HistoryOfARegister, IsWrongWhenTwoWritesAreSeenInBothOrders) {
  EXPECT_NE(judged({write("a", "1", {0, 10}), write("b", "2", {0, 10}), read("c", "1", {11, 12}),
                    read("d", "2", {13, 14})}),
            "ok");
}

TEST(HistoryOfARegister, LetsAWriteOfUnknownOutcomeHappenLateOrNever) {
  const Operation unknown = write("a", "1", {0, {}});
  EXPECT_EQ(judged({unknown, read("b", "", {100, 101}), read("b", "1", {200, 201})}), "ok");
  EXPECT_EQ(judged({unknown, read("b", "", {200, 201})}), "ok");
  EXPECT_NE(judged({unknown, read("b", "1", {100, 101}), read("b", "", {200, 201})}), "ok");
  EXPECT_NE(judged({read("b", "1", {0, 1}), write("a", "1", {2, {}})}), "ok");
}

TEST(HistoryOfARegister, TellsOfTwoTheOneThatIsWrongFirst) {
  Operation later = read("c", "never", {20, 30});
  later.object = "another";
  EXPECT_THAT(judged({later, read("b", "1", {4, 5})}), HasSubstr("register o"));
}

TEST(HistoryOfARegister, TellsOnlyWhatMakesItWrong) {
  std::vector<Operation> history{write("a", "1", {0, 1})};
  for (std::int64_t time = 2; time < 100; time += 2) history.push_back(read("b", "1", {time, time + 1}));
  history.push_back(write("a", "2", {100, 101}));
  history.push_back(read("b", "1", {102, 103}));
  const std::string text = judged(history);
  EXPECT_EQ(std::ranges::count(text, '\n'), 4) << text;
}

}  // namespace
}  // namespace dfs::history
