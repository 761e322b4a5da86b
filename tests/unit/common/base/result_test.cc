#include "common/base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>

#include "common/base/ids.h"

namespace dfs {
namespace {

constexpr int kFirstInternal = 64;
constexpr int kLast = 74;

bool is_code(int number) { return number <= 29 || number >= kFirstInternal; }

TEST(Errc, HasANameOfItsOwnEach) {
  std::set<std::string_view> names;
  for (int number = 0; number <= kLast; ++number) {
    if (!is_code(number)) continue;
    EXPECT_TRUE(names.insert(name_of(static_cast<Errc>(number))).second) << number;
  }
}

TEST(Errc, NeverTellsAProgramOfSuccess) {
  EXPECT_EQ(to_errno(Errc::ok), 0);
  for (int number = 1; number <= kLast; ++number) EXPECT_GT(to_errno(static_cast<Errc>(number)), 0) << number;
  EXPECT_GT(to_errno(static_cast<Errc>(9999)), 0);
}

TEST(Errc, OfASystemErrorLeadsBackToIt) {
  for (const int error : {ENOENT, EEXIST, ENOSPC, EROFS, ENOTEMPTY, EXDEV, EINTR, EDQUOT, ENAMETOOLONG})
    EXPECT_EQ(to_errno(from_errno(error)), error);
  EXPECT_EQ(from_errno(ENOTTY), Errc::io);
}

Result<std::unique_ptr<int>> maybe(bool fails) {
  if (fails) return fail(Errc::no_space, "the disk");
  return std::make_unique<int>(7);
}
Result<int> use(bool fails) {
  const auto number = TRY(maybe(fails));
  return *number;
}

TEST(Try, TakesTheValueOrPassesTheErrorUp) {
  EXPECT_EQ(use(false), 7);
  const auto failed = use(true);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().to_string(), "the disk (no_space)");
}

TEST(FailErrno, SaysWhatWasTriedAndWhy) {
  const Error error = fail_errno(ENOENT, "opening /x").value();
  EXPECT_EQ(error.code, Errc::not_found);
  EXPECT_EQ(error.text, "opening /x: No such file or directory");
}

TEST(InvariantDeathTest, StopsTheProcessAndSaysWhy) {
  EXPECT_DEATH(invariant(false, "two and two"), "broken invariant in .*: two and two");
}

TEST(ChunkId, HoldsGroupAndSerial) {
  const ChunkId chunk(GroupId{3}, 0xa1);
  EXPECT_EQ(chunk.group(), GroupId{3});
  EXPECT_EQ(chunk.serial(), 0xa1u);
  EXPECT_EQ(to_string(chunk), "g3-00000000a1");
  EXPECT_EQ(ChunkId(GroupId{(1 << 24) - 1}, ChunkId::kSerialMax).value(), ~std::uint64_t{0});
}

TEST(Result, SaysHowToGetMoreDescriptors) {
  for (const int error : {EMFILE, ENFILE}) {
    const Error told = fail_errno(error, "open /x").value();
    EXPECT_EQ(told.code, Errc::overloaded);
    EXPECT_NE(told.text.find("raise"), std::string::npos) << told.text;
  }
}

}  // namespace
}  // namespace dfs
