#include "common/kv/memory_kv_store.h"

#include <gtest/gtest.h>

#include <string>

namespace dfs {
namespace {

void put(KvStore& store, const std::string& key, const std::string& value, KvDurability durability) {
  KvBatch batch;
  batch.put(key, value);
  ASSERT_TRUE(store.write(batch, durability));
}

std::optional<std::string> get(const KvStore& store, const std::string& key) { return store.get(key).value(); }

TEST(MemoryKvStore, ForgetsWhatWasNotSyncedWhenThePowerFails) {
  MemoryKvStore store;
  put(store, "a", "synced", KvDurability::process);
  ASSERT_TRUE(store.sync());
  put(store, "a", "lost", KvDurability::process);
  put(store, "b", "lost", KvDurability::process);
  store.lose_power();
  EXPECT_EQ(get(store, "a"), "synced");
  EXPECT_EQ(get(store, "b"), std::nullopt);
}

TEST(MemoryKvStore, BringsBackWhatAnUnsyncedWriteErased) {
  MemoryKvStore store;
  put(store, "a", "1", KvDurability::stable);
  put(store, "b", "2", KvDurability::stable);
  KvBatch batch;
  batch.erase("a");
  batch.erase_range("b", "c");
  ASSERT_TRUE(store.write(batch, KvDurability::process));
  store.lose_power();
  EXPECT_EQ(get(store, "a"), "1");
  EXPECT_EQ(get(store, "b"), "2");
}

TEST(MemoryKvStore, MakesEarlierWritesSafeWithAStableOne) {
  MemoryKvStore store;
  put(store, "a", "1", KvDurability::process);
  put(store, "b", "2", KvDurability::stable);
  put(store, "c", "3", KvDurability::process);
  store.lose_power();
  EXPECT_EQ(get(store, "a"), "1");
  EXPECT_EQ(get(store, "b"), "2");
  EXPECT_EQ(get(store, "c"), std::nullopt);
}

TEST(MemoryKvStore, KeepsUnloggedWritesOnlyAfterAFlush) {
  MemoryKvStore store;
  put(store, "a", "1", KvDurability::none);
  ASSERT_TRUE(store.sync());
  store.lose_power();
  EXPECT_EQ(get(store, "a"), std::nullopt);

  put(store, "a", "2", KvDurability::none);
  put(store, "b", "3", KvDurability::process);
  ASSERT_TRUE(store.flush());
  store.lose_power();
  EXPECT_EQ(get(store, "a"), "2");
  EXPECT_EQ(get(store, "b"), "3");
}

TEST(MemoryKvStore, DoesNotBringLostWritesBackWithTheNextSync) {
  MemoryKvStore store;
  put(store, "a", "lost", KvDurability::process);
  put(store, "b", "lost", KvDurability::none);
  store.lose_power();
  ASSERT_TRUE(store.sync());
  ASSERT_TRUE(store.flush());
  store.lose_power();
  EXPECT_EQ(get(store, "a"), std::nullopt);
  EXPECT_EQ(get(store, "b"), std::nullopt);
}

TEST(MemoryKvStore, FailsAsOftenAsAskedAndChangesNothing) {
  MemoryKvStore store;
  put(store, "a", "1", KvDurability::process);
  store.fail_writes(Errc::no_space, 2);
  KvBatch batch;
  batch.put("a", "2");
  const auto failed = store.write(batch, KvDurability::stable);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::no_space);
  EXPECT_FALSE(store.sync());
  EXPECT_EQ(get(store, "a"), "1");
  EXPECT_TRUE(store.write(batch, KvDurability::stable));
  EXPECT_EQ(get(store, "a"), "2");
}

TEST(MemoryKvStore, ShowsACursorTheStoreFromBeforeThePowerLoss) {
  MemoryKvStore store;
  put(store, "a", "1", KvDurability::process);
  const auto cursor = store.cursor();
  store.lose_power();
  cursor->seek("");
  ASSERT_TRUE(cursor->valid());
  EXPECT_EQ(cursor->value(), "1");
  EXPECT_EQ(get(store, "a"), std::nullopt);
}

// Would take minutes if a write copied the store.
TEST(MemoryKvStore, WritesIntoAHundredThousandKeysWhileACursorLives) {
  MemoryKvStore store;
  KvBatch batch;
  for (int i = 0; i < 100'000; ++i) batch.put("key" + std::to_string(i), "value");
  ASSERT_TRUE(store.write(batch, KvDurability::stable));
  const auto cursor = store.cursor();
  for (int i = 0; i < 100'000; ++i) put(store, "key" + std::to_string(i), "new", KvDurability::process);
  std::size_t old = 0;
  for (cursor->seek(""); cursor->valid(); cursor->next()) old += cursor->value() == "value";
  EXPECT_EQ(old, 100'000u);
}

}  // namespace
}  // namespace dfs
