#include "common/kv/rocksdb_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "tests/support/no_free_descriptor.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/common/kv/store_writer.h"

namespace dfs {
namespace {

using testing::HasSubstr;

constexpr RocksDbConfig kSmall{.block_cache_bytes = 1 << 20, .write_buffer_bytes = 256 << 10};

std::unique_ptr<KvStore> open(const TemporaryDirectory& directory) {
  return open_rocksdb(directory.path(), kSmall).value();
}

Result<void> put(KvStore& store, const std::string& key, const std::string& value, KvDurability durability) {
  KvBatch batch;
  batch.put(key, value);
  return store.write(batch, durability);
}

TEST(RocksDbStore, HasEverythingAfterAnOrderlyEnd) {
  const TemporaryDirectory directory;
  {
    const auto store = open(directory);
    ASSERT_TRUE(put(*store, "logged", "1", KvDurability::process));
    ASSERT_TRUE(put(*store, "unlogged", "2", KvDurability::none));
  }
  const auto store = open(directory);
  EXPECT_EQ(store->get("logged").value(), "1");
  EXPECT_EQ(store->get("unlogged").value(), "2");
}

TEST(RocksDbStore, LosesNoLoggedWriteWhenItsProcessIsKilled) {
  const TemporaryDirectory directory;
  constexpr int kWrites = 20'000;  // several memtables of them
  StoreWriter writer({.directory = directory.path(), .writes = kWrites, .value_bytes = 100});
  ASSERT_TRUE(writer.wait_until_written());
  writer.kill();
  const auto store = open(directory);
  for (int i = 0; i < kWrites; ++i)
    ASSERT_EQ(store->get(StoreWriter::key(i)).value(), StoreWriter::value(i, 100));
}

TEST(RocksDbStore, HasWhatWasFlushedWhenItsProcessIsKilled) {
  const TemporaryDirectory directory;
  StoreWriter writer({.directory = directory.path(), .writes = 20, .value_bytes = 100, .logged = 0, .flushed = 10});
  ASSERT_TRUE(writer.wait_until_written());
  writer.kill();
  const auto store = open(directory);
  EXPECT_EQ(store->get(StoreWriter::key(9)).value(), StoreWriter::value(9, 100));
  EXPECT_EQ(store->get(StoreWriter::key(10)).value(), std::nullopt);
}

TEST(RocksDbStore, RefusesWritesWhileDescriptorsAreShortAndGoesOnByItself) {
  const TemporaryDirectory directory;
  const std::string value(4096, 'v');
  int written = 0;
  {
    const auto store = open(directory);
    {
      const NoFreeDescriptor meanwhile;
      Result<void> done;
      for (; done && written < 1000; written += done ? 1 : 0)
        done = put(*store, StoreWriter::key(written), value, KvDurability::process);
      ASSERT_FALSE(done) << "a new log needs a descriptor";
      EXPECT_EQ(done.error().code, Errc::overloaded) << done.error().to_string();
      EXPECT_EQ(store->get(StoreWriter::key(0)).value(), value);
    }
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    while (!put(*store, "later", value, KvDurability::stable)) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit);
      std::this_thread::yield();
    }
    for (int i = written; i < written + 1000; ++i)
      ASSERT_TRUE(put(*store, StoreWriter::key(i), value, KvDurability::process));
  }
  const auto store = open(directory);
  for (int i = 0; i < written + 1000; ++i)
    ASSERT_EQ(store->get(StoreWriter::key(i)).value(), value);
}

TEST(RocksDbStore, NamesTheProcessThatHasItOpen) {
  const TemporaryDirectory directory;
  StoreWriter writer({.directory = directory.path()});
  ASSERT_TRUE(writer.wait_until_written());
  const auto second = open_rocksdb(directory.path(), kSmall);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::busy);
  EXPECT_THAT(second.error().text, HasSubstr("in use by process " + std::to_string(writer.pid())));
}

TEST(RocksDbStore, CannotBeOpenedTwiceInOneProcess) {
  const TemporaryDirectory directory;
  const auto first = open(directory);
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto second = open_rocksdb(directory.path(), kSmall);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::busy);
  }
}

TEST(RocksDbStore, NamesADirectoryThatCannotBeMade) {
  const auto store = open_rocksdb("/proc/nonexistent/db", kSmall);
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().text, HasSubstr("/proc/nonexistent/db"));
}

TEST(RocksDbStore, TakesNoMoreOfTheDiskThanItHasWritten) {
  const TemporaryDirectory directory;
  const auto store = open_rocksdb(directory.path(), {}).value();
  ASSERT_TRUE(put(*store, "key", "value", KvDurability::stable));
  std::uint64_t taken = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory.path())) {
    struct stat facts {};
    ASSERT_EQ(::stat(file.path().c_str(), &facts), 0);
    taken += static_cast<std::uint64_t>(facts.st_blocks) * 512;
  }
  EXPECT_LT(taken, 1U << 20);
}

TEST(RocksDbStore, LeavesNoLogFilesOfItsOwn) {
  const TemporaryDirectory directory;
  open(directory);
  for (const auto& entry : std::filesystem::directory_iterator(directory.path()))
    EXPECT_FALSE(entry.path().filename().string().starts_with("LOG")) << entry.path();
}

}  // namespace
}  // namespace dfs
