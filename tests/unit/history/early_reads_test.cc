#include "tests/history/early_reads.h"

#include "tests/unit/history/histories.h"

namespace dfs::history {
namespace {

std::size_t left_of(const std::vector<Operation>& history) { return without_early_reads(history).size(); }

TEST(EarlyReads, ShowAWriteOfTheirOwnMountThatHasNotReturned) {
  const Operation write_here = write("mount1.1", "1", {0, 10});
  EXPECT_EQ(left_of({write_here, read("mount1.2", "1", {5, 6})}), 1U);
  EXPECT_EQ(left_of({write_here, read("mount1.2", "1", {11, 12})}), 2U);  // it has returned
  EXPECT_EQ(left_of({write_here, read("mount2.2", "1", {5, 6})}), 2U);    // another mount's
  EXPECT_EQ(left_of({write_here, read("mount1.2", "", {5, 6})}), 1U);     // or does not yet
}

TEST(EarlyReads, ShowForEverWhatNobodyKnowsTheOutcomeOf) {
  EXPECT_EQ(left_of({write("mount1.1", "1", {0, {}}), read("mount1.2", "1", {100, 101})}), 1U);
}

TEST(EarlyReads, OfALogShowOneSuchRecordAmongOthers) {
  const Operation done = append("mount1.1", "1", {0, 1});
  const Operation under_way = append("mount1.1", "2", {2, 10});
  EXPECT_EQ(left_of({done, under_way, read_log("mount1.2", {"1", "2"}, {5, 6})}), 2U);
  EXPECT_EQ(left_of({done, under_way, read_log("mount1.2", {"1"}, {5, 6})}), 3U);
}

Operation change(const char* client, Kind kind, const char* name, std::int64_t begun, std::int64_t ended) {
  Operation operation;
  operation.client = client;
  operation.kind = kind;
  operation.object = "d";
  operation.name = name;
  operation.begun = begun;
  operation.ended = ended;
  return operation;
}

TEST(EarlyReads, LookForNamesBesideAChangeOfTheirOwnMount) {
  const Operation unlink = change("mount1.1", Kind::unlink, "a", 0, 10);
  EXPECT_EQ(left_of({unlink, change("mount1.2", Kind::lookup, "b", 5, 6)}), 1U);
  EXPECT_EQ(left_of({unlink, change("mount1.2", Kind::lookup, "b", 11, 12)}), 2U);  // it has returned
  EXPECT_EQ(left_of({unlink, change("mount2.2", Kind::lookup, "b", 5, 6)}), 2U);    // another mount's
}

TEST(EarlyReads, DoubtARenameThatAnotherOneToTheSameNameWasBesideOf) {
  Operation rename = change("mount1.1", Kind::rename, "a", 0, 10);
  rename.to_object = "d";
  rename.to_name = "b";
  Operation other = rename;
  other.client = "mount2.1";
  EXPECT_FALSE(without_early_reads({rename, other})[0].ended.has_value());
  other.to_name = "c";
  EXPECT_TRUE(without_early_reads({rename, other})[0].ended.has_value());
}

}  // namespace
}  // namespace dfs::history
