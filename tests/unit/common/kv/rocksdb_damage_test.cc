// Wrong bytes on disk: what was synced is there or opening says which file
// is damaged; a torn end is dropped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "common/kv/rocksdb_store.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/common/kv/store_writer.h"

namespace dfs {
namespace {

using testing::HasSubstr;

constexpr int kValueBytes = 10'000;  // several records to a 32 KiB block, some across two

std::string key_of(int number) { return StoreWriter::key(number); }
std::string value_of(int number) { return StoreWriter::value(number, kValueBytes); }

// A store whose process was killed, with its log as files to tamper with.
class DamagedRocksDb : public testing::Test {
 protected:
  // Writes keys 0 to `writes`-1 and syncs after every write below `synced`.
  void write_and_be_killed(int writes, int synced) {
    StoreWriter writer(
        {.directory = directory_.path(), .writes = writes, .value_bytes = kValueBytes, .logged = writes, .synced = synced});
    ASSERT_TRUE(writer.wait_until_written());
    writer.kill();
  }

  std::filesystem::path only_file(const std::string& extension) const {
    std::filesystem::path found;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      if (entry.path().extension() != extension || entry.file_size() == 0) continue;
      EXPECT_TRUE(found.empty());
      found = entry.path();
    }
    return found;
  }
  static std::string contents(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }
  static void replace(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
  // Turns one bit in the value of key `number`.
  void damage_log_at(int number) {
    const auto log = only_file(".log");
    std::string bytes = contents(log);
    const std::size_t at = bytes.find(key_of(number));
    ASSERT_NE(at, std::string::npos);
    bytes[at + 50] ^= 1;
    replace(log, bytes);
  }
  // How many keys from 0 on are there, after which none may follow.
  int prefix_length(const KvStore& store, int writes) {
    int length = 0;
    while (length < writes && store.get(key_of(length)).value() == value_of(length)) ++length;
    for (int i = length; i < writes; ++i) EXPECT_EQ(store.get(key_of(i)).value(), std::nullopt) << i;
    return length;
  }

  const TemporaryDirectory directory_;
};

TEST_F(DamagedRocksDb, OpensWithEverythingWhenNothingIsDamaged) {
  write_and_be_killed(20, 10);
  const auto store = open_rocksdb(directory_.path(), {});
  ASSERT_TRUE(store);
  EXPECT_EQ(prefix_length(**store, 20), 20);
}

TEST_F(DamagedRocksDb, RefusesToOpenWhenASyncedRecordDoesNotHoldAndNamesTheFile) {
  write_and_be_killed(20, 15);
  damage_log_at(5);
  const std::string before = contents(only_file(".log"));
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto store = open_rocksdb(directory_.path(), {});
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, Errc::corrupt);
    EXPECT_THAT(store.error().text, HasSubstr(only_file(".log").string()));
    EXPECT_THAT(store.error().text, HasSubstr("offset "));
  }
  EXPECT_EQ(contents(only_file(".log")), before);  // the evidence is kept
}

// Enough synced writes for zeros to lie behind the log's end.
constexpr int kManyWrites = 40;

TEST_F(DamagedRocksDb, TakesZerosBehindTheLogForItsEnd) {
  write_and_be_killed(kManyWrites, kManyWrites);
  const std::string log = contents(only_file(".log"));
  ASSERT_GT(log.size(), std::size_t{kManyWrites} * kValueBytes + 100'000) << "written ahead";
  ASSERT_TRUE(log.ends_with(std::string(100'000, '\0')));
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto store = open_rocksdb(directory_.path(), {});
    ASSERT_TRUE(store) << store.error().text;
    EXPECT_EQ(prefix_length(**store, kManyWrites), kManyWrites);
  }
}

TEST_F(DamagedRocksDb, DropsARecordThatIsTornInFrontOfZeros) {
  write_and_be_killed(kManyWrites, kManyWrites);
  const auto log = only_file(".log");
  std::string bytes = contents(log);
  const std::size_t last = bytes.find(key_of(kManyWrites - 1));
  ASSERT_NE(last, std::string::npos);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(last) + 4096, bytes.end(), '\0');
  replace(log, bytes);
  const auto store = open_rocksdb(directory_.path(), {});
  ASSERT_TRUE(store) << store.error().text;
  EXPECT_EQ(prefix_length(**store, kManyWrites), kManyWrites - 1);
}

TEST_F(DamagedRocksDb, StillSeesDamageInALogThatWasWrittenAhead) {
  write_and_be_killed(kManyWrites, kManyWrites);
  damage_log_at(30);
  const auto store = open_rocksdb(directory_.path(), {});
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::corrupt);
}

TEST_F(DamagedRocksDb, RefusesToOpenWhenTheVeryFirstRecordDoesNotHold) {
  write_and_be_killed(20, 15);
  damage_log_at(0);
  const auto store = open_rocksdb(directory_.path(), {});
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::corrupt);
}

TEST_F(DamagedRocksDb, DropsATornEndAndKeepsAllThatWasSynced) {
  write_and_be_killed(20, 10);
  damage_log_at(14);
  const auto store = open_rocksdb(directory_.path(), {});
  ASSERT_TRUE(store);
  EXPECT_EQ(prefix_length(**store, 20), 14);
}

TEST_F(DamagedRocksDb, DropsATornEndOfZeros) {
  write_and_be_killed(20, 10);
  const auto log = only_file(".log");
  std::string bytes = contents(log);
  const std::size_t at = bytes.find(key_of(12));
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(at + 40'000), '\0');
  replace(log, bytes);
  const auto store = open_rocksdb(directory_.path(), {});
  ASSERT_TRUE(store);
  EXPECT_EQ(prefix_length(**store, 20), 12);
}

TEST_F(DamagedRocksDb, OpensWithAPrefixWhereverTheLogIsCutBehindTheLastSync) {
  write_and_be_killed(14, 10);
  const auto log = only_file(".log");
  const std::string bytes = contents(log);
  const std::size_t synced_until = bytes.find(key_of(10));
  for (const std::size_t cut : {synced_until + 10, synced_until + 5'000, synced_until + 25'000, bytes.size() - 1}) {
    const TemporaryDirectory copy;
    std::filesystem::copy(directory_.path(), copy.path(), std::filesystem::copy_options::recursive);
    replace(copy.path() / log.filename(), bytes.substr(0, cut));
    const auto store = open_rocksdb(copy.path(), {});
    ASSERT_TRUE(store) << store.error().to_string();
    EXPECT_GE(prefix_length(**store, 14), 10);
  }
}

TEST_F(DamagedRocksDb, GoesOnAfterATornEndAndOpensAgain) {
  write_and_be_killed(20, 10);
  damage_log_at(14);
  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto store = open_rocksdb(directory_.path(), {});
    ASSERT_TRUE(store) << store.error().to_string();
    KvBatch batch;
    batch.put("attempt" + std::to_string(attempt), "x");
    ASSERT_TRUE((*store)->write(batch, KvDurability::stable));
  }
  const auto store = open_rocksdb(directory_.path(), {});
  EXPECT_EQ((*store)->get("attempt0").value(), "x");
}

TEST_F(DamagedRocksDb, NeverReturnsWrongBytesFromATable) {
  {
    const auto store = open_rocksdb(directory_.path(), {}).value();
    KvBatch batch;
    for (int i = 0; i < 20; ++i) batch.put(key_of(i), value_of(i));
    ASSERT_TRUE(store->write(batch, KvDurability::process));
  }
  const auto table = only_file(".sst");
  std::string bytes = contents(table);
  bytes[20] ^= 1;  // the first table block, which holds the first key
  replace(table, bytes);

  const auto store = open_rocksdb(directory_.path(), {});
  ASSERT_TRUE(store);
  const auto value = (*store)->get(key_of(0));
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, Errc::corrupt);
  EXPECT_THAT(value.error().text, HasSubstr(table.filename().string()));
  const auto cursor = (*store)->cursor();
  cursor->seek("");
  EXPECT_FALSE(cursor->valid());
  ASSERT_FALSE(cursor->status());
  EXPECT_EQ(cursor->status().error().code, Errc::corrupt);
}

}  // namespace
}  // namespace dfs
