#include <gmock/gmock.h>

#include "tests/unit/history/histories.h"

namespace dfs::history {
namespace {

using ::testing::HasSubstr;

TEST(HistoryOfNames, IsRightWhenEachSeesWhatHasReturned) {
  EXPECT_EQ(judged({lookup("a", {"x"}, {0, 1}, Answer::not_found), create("b", {"x", "7"}, {2, 3}),
                    lookup("a", {"x", "7"}, {4, 5}), create("a", {"x"}, {6, 7}, Answer::exists),
                    rename("a", "x", "y", {8, 9}), lookup("b", {"x"}, {10, 11}, Answer::not_found),
                    lookup("b", {"y", "7"}, {12, 13}), list("b", {"y"}, {14, 15}), unlink("b", "y", {16, 17}),
                    unlink("a", "y", {18, 19}, Answer::not_found), list("a", {}, {20, 21})}),
            "ok");
}

TEST(HistoryOfNames, IsWrongWhenANameIsSeenAfterItsUnlink) {
  EXPECT_THAT(judged({create("a", {"x"}, {0, 1}), unlink("b", "x", {2, 3}), lookup("a", {"x"}, {4, 5})}),
              HasSubstr("name o/x"));
}

TEST(HistoryOfNames, IsWrongWhenANegativeEntryOutlivesACreate) {
  EXPECT_NE(judged({lookup("a", {"x"}, {0, 1}, Answer::not_found), create("b", {"x"}, {2, 3}),
                    lookup("a", {"x"}, {4, 5}, Answer::not_found)}),
            "ok");
}

TEST(HistoryOfNames, IsWrongWhenTwoCreateTheSameName) {
  EXPECT_NE(judged({create("a", {"x"}, {0, 5}), create("b", {"x"}, {1, 6})}), "ok");
  EXPECT_EQ(judged({create("a", {"x"}, {0, 5}), create("b", {"x"}, {1, 6}, Answer::exists)}), "ok");
}

TEST(HistoryOfNames, IsWrongWhenANameLeadsToTheFileThatWasThereBefore) {
  EXPECT_THAT(judged({create("a", {"x", "7"}, {0, 1}), unlink("a", "x", {2, 3}), create("a", {"x", "8"}, {4, 5}),
                      lookup("b", {"x", "7"}, {6, 7})}),
              HasSubstr("o/x is file 8"));
}

TEST(HistoryOfNames, TakesTheFileOfAnUnknownMakerForOneThatNobodyElseMade) {
  const Operation unknown = create("a", {"x"}, {0, {}});
  EXPECT_EQ(judged({unknown, lookup("b", {"x", "7"}, {2, 3}), lookup("c", {"x", "7"}, {4, 5})}), "ok");
  EXPECT_NE(judged({unknown, lookup("b", {"x", "7"}, {2, 3}), lookup("c", {"x", "8"}, {4, 5})}), "ok");
  EXPECT_NE(judged({unknown, create("b", {"y", "7"}, {1, 2}), lookup("c", {"x", "7"}, {4, 5})}), "ok");
}

TEST(HistoryOfNames, MovesANameInOneMoment) {
  const std::vector<Operation> moved{create("a", {"x", "7"}, {0, 1}), rename("a", "x", "y", {2, 10})};
  auto with = [&](std::vector<Operation> more) {
    more.insert(more.begin(), moved.begin(), moved.end());
    return judged(more);
  };
  EXPECT_EQ(with({lookup("b", {"x"}, {3, 4}), lookup("b", {"y"}, {5, 6})}), "ok");
  EXPECT_NE(with({lookup("b", {"y"}, {3, 4}), lookup("b", {"x"}, {5, 6})}), "ok");
  EXPECT_NE(with({lookup("b", {"x"}, {3, 4}, Answer::not_found), lookup("b", {"y"}, {5, 6}, Answer::not_found)}), "ok");
}

TEST(HistoryOfNames, RenamesOverWhatIsThere) {
  EXPECT_EQ(judged({create("a", {"x", "7"}, {0, 1}), create("a", {"y", "8"}, {2, 3}), rename("b", "x", "y", {4, 5}),
                    lookup("a", {"y", "7"}, {6, 7})}),
            "ok");
  EXPECT_NE(judged({rename("a", "x", "y", {0, 1})}), "ok");
  EXPECT_EQ(judged({rename("a", "x", "y", {0, 1}, Answer::not_found)}), "ok");
}

TEST(HistoryOfNames, LetsAListingTakeItsTime) {
  const std::vector<Operation> changes{create("a", {"x"}, {0, 1}), create("a", {"gone"}, {2, 3}),
                                       unlink("a", "gone", {20, 21}), create("a", {"new"}, {22, 23})};
  auto with = [&](std::vector<std::string> names) {
    std::vector<Operation> history = changes;
    history.push_back(list("b", std::move(names), {10, 30}));
    return judged(history);
  };
  EXPECT_EQ(with({"x", "new"}), "ok");
  EXPECT_EQ(with({"x", "gone"}), "ok");
  EXPECT_EQ(with({"x"}), "ok");
  EXPECT_EQ(with({"x", "gone", "new"}), "ok");
  EXPECT_NE(with({"gone", "new"}), "ok");            // x was there all the time
  EXPECT_NE(with({"x", "new", "never"}), "ok");      // that was not
}

TEST(HistoryOfNames, IsRightWhenARenameDuringAListingShowsBothNamesOrNone) {
  for (const std::vector<std::string>& names : {std::vector<std::string>{}, {"x"}, {"y"}, {"x", "y"}})
    EXPECT_EQ(judged({create("a", {"x"}, {0, 1}), rename("a", "x", "y", {5, 6}), list("b", names, {3, 9})}), "ok");
}

TEST(HistoryOfNames, KeepsDirectoriesApart) {
  Operation elsewhere = create("a", {"x"}, {0, 1});
  elsewhere.object = "o/x";
  EXPECT_EQ(judged({elsewhere, list("b", {}, {2, 3}), lookup("b", {"x"}, {4, 5}, Answer::not_found)}), "ok");
}

}  // namespace
}  // namespace dfs::history
