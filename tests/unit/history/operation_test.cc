#include <sstream>

#include <gmock/gmock.h>

#include "tests/unit/history/histories.h"

namespace dfs::history {
namespace {

using ::testing::HasSubstr;

std::string error_of(const std::string& text) {
  std::istringstream lines(text);
  const auto history = read_history(lines);
  return history ? "" : history.error().text;
}

TEST(HistoryFile, IsReadAsItWasWritten) {
  const std::vector<Operation> history{write("a", "1", {0, 1}),
                                       create("a", {"x", "7"}, {2, 3}, Answer::exists),
                                       rename("b", "x", "y", {4, {}}),
                                       list("b", {"x", "y"}, {5, 6}),
                                       lock("a", Sharing::shared, {7, 8}, Answer::busy)};
  std::string text;
  for (const Operation& each : history) text += to_json(each) + "\n";
  std::istringstream lines(text);
  const auto again = read_history(lines);
  ASSERT_TRUE(again) << again.error().to_string();
  ASSERT_EQ(again->size(), history.size());
  for (std::size_t i = 0; i < history.size(); ++i) {
    EXPECT_EQ(to_json((*again)[i]), to_json(history[i]));
    EXPECT_EQ(to_text((*again)[i], 0), to_text(history[i], 0));
  }
}

TEST(HistoryFile, IsRefusedByTheFirstLineThatIsWrong) {
  const std::string good = R"({"client":"a","kind":"read","object":"o","begun":1,"ended":2})";
  EXPECT_EQ(error_of(good), "");
  EXPECT_THAT(error_of(good + "\n{\n"), HasSubstr("line 2"));
  EXPECT_THAT(error_of(R"({"client":"a","kind":"dance","object":"o","begun":1})"), HasSubstr("\"dance\" is not known"));
  EXPECT_THAT(error_of(R"({"client":"a","kind":"unlink","object":"o","begun":1})"), HasSubstr("a name"));
  EXPECT_THAT(error_of(R"({"client":"a","kind":"unlink","object":"o","name":"x/y","begun":1})"), HasSubstr("'/'"));
  EXPECT_THAT(error_of(R"({"client":"a","kind":"write","object":"o","answer":"busy","begun":1,"ended":2})"),
              HasSubstr("that answer"));
  EXPECT_THAT(error_of(R"({"client":"a","kind":"read","object":"o","begun":3,"ended":2})"),
              HasSubstr("before it was begun"));
}

TEST(History, CannotHaveAClientDoTwoThingsAtOnce) {
  EXPECT_THAT(judged({read("a", "", {0, 5}), read("a", "", {4, 6})}), HasSubstr("a does two things at once"));
  EXPECT_EQ(judged({read("a", "", {0, 5}), read("a", "", {5, 6})}), "ok");
}

TEST(History, CannotAppendOneRecordTwice) {
  EXPECT_THAT(judged({append("a", "1", {0, 5}), append("b", "1", {4, 6})}), HasSubstr("twice"));
}

}  // namespace
}  // namespace dfs::history
