#include "server/meta/backup/backup_desk.h"

#include <gtest/gtest.h>

#include <map>

#include "common/base/row_file.h"
#include "common/kv/memory_kv_store.h"
#include "server/meta/core/core_state.h"
#include "tests/support/fake_clock.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;
using Rows = std::map<std::string, std::string>;

class BackupDeskTest : public ::testing::Test {
 protected:
  BackupDeskTest() {
    MetaConfig config;
    EXPECT_TRUE(CoreState::load(config, clock, store));  // the rows of a new cluster
    for (int i = 0; i < 100; ++i) put("Z" + std::to_string(100 + i), std::string(100, 'z'));
  }
  void put(const std::string& key, const std::string& value) {
    KvBatch batch;
    batch.put(key, value);
    ASSERT_TRUE(store.write(batch, KvDurability::process));
  }
  Rows all_rows() {
    Rows rows;
    const auto cursor = store.cursor();
    for (cursor->seek(""); cursor->valid(); cursor->next())
      rows.emplace(cursor->key(), cursor->value());
    return rows;
  }
  static void add(Rows& rows, std::string_view bytes) {
    std::string_view key;
    std::string_view value;
    while (take_row(bytes, key, value)) EXPECT_TRUE(rows.emplace(key, value).second) << key;
    EXPECT_TRUE(bytes.empty());
  }

  FakeClock clock;
  MemoryKvStore store;
  BackupDesk desk{store, clock, {.backups_max = 2, .page_bytes = 1'000, .idle_max = 1min}};
};

TEST_F(BackupDeskTest, TellsAllRowsOfTheMomentItBeganWhileTheyChange) {
  const Rows before = all_rows();
  Result<BackupPage> page = desk.begin();
  ASSERT_TRUE(page) << page.error().to_string();
  EXPECT_EQ(page->facts.at("what"), "metadata backup");
  EXPECT_EQ(page->facts.at("time"), std::to_string(clock.wall()));
  Rows told;
  add(told, page->rows);
  while (!page->last) {
    put("Z150", "changed while the backup was made");
    put("Z999", "new");
    page = desk.next(page->backup, page->page + 1);
    ASSERT_TRUE(page) << page.error().to_string();
    EXPECT_LT(page->rows.size(), 2'000u);
    add(told, page->rows);
  }
  EXPECT_EQ(told, before);
  EXPECT_EQ(desk.open(), 0u) << "nothing is held after the last page";
}

TEST_F(BackupDeskTest, GivesUpABackupThatNobodyAsksAbout) {
  const BackupPage page = desk.begin().value();
  clock.advance(1min - 1ns);
  desk.release_idle();
  EXPECT_EQ(desk.open(), 1u);
  clock.advance(1ns);
  desk.release_idle();
  EXPECT_EQ(desk.open(), 0u);
  const auto more = desk.next(page.backup, 1);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Errc::not_found);
}

TEST_F(BackupDeskTest, MakesNoMoreAtOnceThanItsLimit) {
  const BackupPage first = desk.begin().value();
  EXPECT_TRUE(desk.begin());
  EXPECT_EQ(desk.begin().error().code, Errc::overloaded);
  clock.advance(1min);
  EXPECT_TRUE(desk.begin()) << "those that nobody asks about make room";
}

TEST_F(BackupDeskTest, LeavesNoPageOutAndTellsNoneTwice) {
  const BackupPage first = desk.begin().value();
  ASSERT_FALSE(first.last);
  EXPECT_EQ(desk.next(first.backup, 2).error().code, Errc::bad_message);
  EXPECT_TRUE(desk.next(first.backup, 1));
  EXPECT_EQ(desk.next(first.backup, 1).error().code, Errc::bad_message);
}

}  // namespace
}  // namespace dfs
