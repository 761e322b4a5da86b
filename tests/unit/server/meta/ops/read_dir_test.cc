#include <algorithm>
#include <iostream>
#include <random>

#include "common/rpc/protocol.h"
#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

class ReadDirTest : public OpsTest {
 protected:
  ReadDirResult page(std::uint64_t cookie, std::uint32_t entries_max) {
    return must<ReadDirResult>(ReadDirArgs{d_, cookie, entries_max});
  }
  InodeId d_ = directory(kRootInode, "d");
};

TEST_F(ReadDirTest, ListsNamesInOrderOfCreationWithTheirAttributes) {
  for (const char* name : {"z", "a", "m"}) file(d_, name);
  const InodeId inner = directory(d_, "inner");
  const ReadDirResult all = page(0, 100);
  ASSERT_EQ(all.entries.size(), 4U);
  EXPECT_TRUE(all.end);
  EXPECT_EQ(all.parent, kRootInode);
  EXPECT_EQ(list(d_), (std::vector<std::string>{"z", "a", "m", "inner"}));
  EXPECT_EQ(all.entries[3].attributes.inode, inner);
  EXPECT_EQ(all.entries[3].attributes.type, FileType::directory);
  for (const Entry& entry : all.entries) EXPECT_GE(entry.cookie, ops::kFirstCookie);
}

TEST_F(ReadDirTest, GoesOnAfterTheCookie) {
  for (int i = 0; i < 10; ++i) file(d_, std::to_string(i));
  commit();
  for (int i = 10; i < 20; ++i) file(d_, std::to_string(i));
  std::uint64_t cookie = 0;
  std::vector<std::string> names;
  for (int pages = 1;; ++pages) {
    const ReadDirResult result = page(cookie, 7);
    for (const Entry& entry : result.entries) names.push_back(entry.name);
    if (result.end) {
      EXPECT_EQ(pages, 3);
      break;
    }
    ASSERT_EQ(result.entries.size(), 7U);
    cookie = result.entries.back().cookie;
  }
  ASSERT_EQ(names.size(), 20U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(names[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST_F(ReadDirTest, EndsWithAFullPageThatHoldsTheLastName) {
  for (int i = 0; i < 4; ++i) file(d_, std::to_string(i));
  EXPECT_FALSE(page(0, 3).end);
  EXPECT_TRUE(page(0, 4).end);
}

TEST_F(ReadDirTest, OfAnEmptyDirectoryOrBehindTheEndIsTheEnd) {
  EXPECT_TRUE(page(0, 10).end);
  file(d_, "f");
  const std::uint64_t last = page(0, 10).entries.back().cookie;
  EXPECT_TRUE(page(last, 10).end);
  EXPECT_TRUE(page(~std::uint64_t{0}, 10).end);
  EXPECT_TRUE(page(~std::uint64_t{0}, 10).entries.empty());
}

TEST_F(ReadDirTest, BoundsThePage) {
  for (std::uint32_t i = 0; i < kEntriesPerReplyMax + 1; ++i) file(d_, std::to_string(i));
  EXPECT_EQ(page(0, ~0U).entries.size(), kEntriesPerReplyMax);
  EXPECT_EQ(page(0, 0).entries.size(), 1U);
}

TEST_F(ReadDirTest, IsForDirectories) {
  EXPECT_EQ(error_of(ReadDirArgs{file(d_, "f")}), Errc::not_directory);
  EXPECT_EQ(error_of(ReadDirArgs{InodeId{99}}), Errc::stale);
}

TEST_F(ReadDirTest, EndsForOneWhoRenamesWhatItSees) {
  for (int i = 0; i < 50; ++i) file(d_, std::to_string(i));
  std::uint64_t cookie = 0;
  int seen = 0;
  while (true) {
    const ReadDirResult result = page(cookie, 4);
    for (const Entry& entry : result.entries) {
      must<RemovedResult>(
          RenameArgs{d_, entry.name, d_, "renamed-" + entry.name, false, false});
      ++seen;
      ASSERT_LE(seen, 50);
    }
    if (result.end) break;
    cookie = result.entries.back().cookie;
  }
  EXPECT_EQ(seen, 50);
}

TEST_F(ReadDirTest, ShowsWhatStaysOnceWhileOtherNamesComeAndGo) {
  const std::uint32_t seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  std::vector<std::string> coming_and_going;
  int made = 0;
  const auto disturb = [&] {
    for (int i = 0; i < 5; ++i) {
      if (coming_and_going.empty() || random() % 2 == 0) {
        coming_and_going.push_back("temporary-" + std::to_string(made++));
        file(d_, coming_and_going.back());
        continue;
      }
      std::string& victim = coming_and_going[random() % coming_and_going.size()];
      if (random() % 3 == 0) {
        const std::string new_name = "temporary-" + std::to_string(made++);
        must<RemovedResult>(RenameArgs{d_, victim, d_, new_name, false, false});
        victim = new_name;
      } else {
        must<RemovedResult>(UnlinkArgs{d_, victim});
        victim = coming_and_going.back();
        coming_and_going.pop_back();
      }
    }
    if (random() % 2 == 0) commit();
  };
  std::vector<std::string> staying;
  for (int i = 0; i < 100; ++i) {
    staying.push_back("staying-" + std::to_string(i));
    file(d_, staying.back());
    disturb();
  }
  for (int round = 0; round < 30; ++round) {
    std::vector<std::string> seen;
    std::uint64_t cookie = 0;
    while (true) {
      const ReadDirResult result = page(cookie, 1 + static_cast<std::uint32_t>(random() % 20));
      for (const Entry& entry : result.entries)
        if (entry.name.starts_with("staying")) seen.push_back(entry.name);
      // New names go to the end: bounded here so that the listing catches up.
      if (result.end) break;
      cookie = result.entries.back().cookie;
      if (seen.size() < staying.size()) disturb();
    }
    ASSERT_EQ(seen, staying);
  }
}

}  // namespace
}  // namespace dfs
