#include <gmock/gmock.h>

#include "tests/unit/history/histories.h"

namespace dfs::history {
namespace {

using ::testing::HasSubstr;

TEST(HistoryOfALog, IsRightWhenEveryReadShowsABeginningOfOneSequence) {
  EXPECT_EQ(judged({read_log("r", {}, {0, 1}), append("a", "1", {2, 10}), append("b", "2", {2, 10}),
                    read_log("r", {"2"}, {3, 4}), read_log("s", {"2", "1"}, {5, 6}), append("a", "3", {12, 13}),
                    read_log("r", {"2", "1", "3"}, {14, 15})}),
            "ok");
  EXPECT_EQ(judged({append("a", "1", {0, 1})}), "ok");
}

TEST(HistoryOfALog, IsWrongWhenAnAcknowledgedRecordIsLost) {
  EXPECT_THAT(judged({append("a", "1", {0, 1}), append("b", "2", {2, 3}), read_log("r", {"2"}, {4, 5})}),
              HasSubstr("log o: \"1\" is not there, which had been acknowledged"));
}

TEST(HistoryOfALog, IsWrongWhenARecordIsTornOrDoubled) {
  EXPECT_THAT(judged({append("a", "11", {0, 1}), read_log("r", {"1"}, {4, 5})}), HasSubstr("nobody appended"));
  EXPECT_THAT(judged({append("a", "1", {0, 1}), read_log("r", {"1", "1"}, {4, 5})}), HasSubstr("read twice"));
}

TEST(HistoryOfALog, IsWrongWhenRecordsLieAgainstTheOrderOfTime) {
  EXPECT_THAT(judged({append("a", "1", {0, 1}), append("b", "2", {2, 3}), read_log("r", {"2", "1"}, {4, 5})}),
              HasSubstr("\"2\" lies before \"1\""));
}

TEST(HistoryOfALog, IsWrongWhenTwoReadsDisagree) {
  EXPECT_THAT(judged({append("a", "1", {0, 10}), append("b", "2", {0, 10}), read_log("r", {"1"}, {2, 3}),
                      read_log("s", {"2", "1"}, {4, 5})}),
              HasSubstr("record 0 is read as \"1\" and as \"2\""));
}

TEST(HistoryOfALog, IsWrongWhenARecordIsSeenAndThenNotOrBeforeItWasBegun) {
  EXPECT_THAT(judged({append("a", "1", {0, 10}), read_log("r", {"1"}, {2, 3}), read_log("s", {}, {4, 5})}),
              HasSubstr("not there any more"));
  EXPECT_THAT(judged({read_log("r", {"1"}, {0, 1}), append("a", "1", {2, 3})}),
              HasSubstr("before it was appended"));
}

TEST(HistoryOfALog, LetsARecordOfUnknownOutcomeComeLateOrNever) {
  const std::vector<Operation> some{append("a", "1", {0, {}}), append("b", "2", {2, 3}), read_log("r", {"2"}, {4, 5})};
  auto with = [&](std::vector<std::string> records) {
    std::vector<Operation> history = some;
    history.push_back(read_log("r", std::move(records), {6, 7}));
    return judged(history);
  };
  EXPECT_EQ(with({"2", "1"}), "ok");
  EXPECT_EQ(with({"2"}), "ok");
  EXPECT_NE(with({"1", "2"}), "ok");
}

}  // namespace
}  // namespace dfs::history
