// What every KvStore promises, asked of each.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/kv/kv_store.h"
#include "common/kv/memory_kv_store.h"
#include "common/kv/rocksdb_store.h"
#include "tests/support/temporary_directory.h"

namespace dfs {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct MemoryMaker {
  std::unique_ptr<KvStore> store = std::make_unique<MemoryKvStore>();
};
struct RocksDbMaker {
  TemporaryDirectory directory;
  // Small memtables, so that tables and compactions take part.
  std::unique_ptr<KvStore> store =
      open_rocksdb(directory.path(), {.block_cache_bytes = 1 << 20, .write_buffer_bytes = 64 << 10}).value();
};

template <typename Maker>
class KvStoreContract : public testing::Test {
 protected:
  KvStore& store() { return *maker_.store; }
  void put(const std::string& key, const std::string& value, KvDurability durability = KvDurability::process) {
    KvBatch batch;
    batch.put(key, value);
    ASSERT_TRUE(store().write(batch, durability));
  }
  void erase(const std::string& key) {
    KvBatch batch;
    batch.erase(key);
    ASSERT_TRUE(store().write(batch, KvDurability::process));
  }
  static Pairs all(KvCursor& cursor) {
    Pairs pairs;
    for (cursor.seek(""); cursor.valid(); cursor.next()) pairs.emplace_back(cursor.key(), cursor.value());
    EXPECT_TRUE(cursor.status());
    return pairs;
  }
  static Pairs all_backward(KvCursor& cursor) {
    Pairs pairs;
    for (cursor.seek_for_previous("\xff\xff\xff"); cursor.valid(); cursor.previous())
      pairs.emplace(pairs.begin(), cursor.key(), cursor.value());
    EXPECT_TRUE(cursor.status());
    return pairs;
  }
  Pairs all() { return all(*store().cursor()); }

  Maker maker_;
};

using Makers = testing::Types<MemoryMaker, RocksDbMaker>;
struct MakerNames {
  template <typename Maker>
  static std::string GetName(int) {
    return std::is_same_v<Maker, MemoryMaker> ? "Memory" : "RocksDb";
  }
};
TYPED_TEST_SUITE(KvStoreContract, Makers, MakerNames);

TYPED_TEST(KvStoreContract, GivesBackWhatWasPut) {
  this->put("k", "v");
  this->put("empty", "");
  EXPECT_EQ(this->store().get("k").value(), "v");
  EXPECT_EQ(this->store().get("empty").value(), "");
  EXPECT_EQ(this->store().get("absent").value(), std::nullopt);
}

TYPED_TEST(KvStoreContract, KeepsBytesOfAnyKind) {
  const std::string key("\0k\xff\0", 4);
  const std::string value("\0\n\xfe", 3);
  this->put(key, value);
  EXPECT_EQ(this->store().get(key).value(), value);
  EXPECT_EQ(this->all(), (Pairs{{key, value}}));
}

TYPED_TEST(KvStoreContract, LetsTheLaterChangeOfABatchWin) {
  KvBatch batch;
  batch.put("a", "1");
  batch.put("a", "2");
  batch.put("b", "1");
  batch.erase("b");
  batch.erase("c");
  batch.put("c", "3");
  ASSERT_TRUE(this->store().write(batch, KvDurability::process));
  EXPECT_EQ(this->all(), (Pairs{{"a", "2"}, {"c", "3"}}));
}

TYPED_TEST(KvStoreContract, ErasesARangeWithoutItsEnd) {
  for (const char* key : {"a", "b", "b1", "c", "d"}) this->put(key, "v");
  KvBatch batch;
  batch.put("bb", "gone too");
  batch.erase_range("b", "c");
  batch.put("b2", "later");
  ASSERT_TRUE(this->store().write(batch, KvDurability::process));
  EXPECT_EQ(this->all(), (Pairs{{"a", "v"}, {"b2", "later"}, {"c", "v"}, {"d", "v"}}));
}

TYPED_TEST(KvStoreContract, ErasesNothingForARangeThatEndsBeforeItStarts) {
  for (const char* key : {"a", "b", "c"}) this->put(key, "v");
  KvBatch batch;
  batch.erase_range("c", "a");
  batch.erase_range("b", "b");
  ASSERT_TRUE(this->store().write(batch, KvDurability::process));
  EXPECT_EQ(this->all().size(), 3u);
}

TYPED_TEST(KvStoreContract, AcceptsABatchOfNothing) {
  EXPECT_TRUE(this->store().write({}, KvDurability::process));
  EXPECT_TRUE(this->store().write({}, KvDurability::stable));
}

TYPED_TEST(KvStoreContract, SortsKeysByteByByteWithoutSign) {
  for (const char* key : {"\xff", "a", "\x7f", "ab", "\x80"}) this->put(key, "");
  Pairs expected;
  for (const char* key : {"a", "ab", "\x7f", "\x80", "\xff"}) expected.emplace_back(key, "");
  EXPECT_EQ(this->all(), expected);
}

TYPED_TEST(KvStoreContract, SeeksToTheNextKeyAndToThePreviousOne) {
  this->put("b", "1");
  this->put("d", "2");
  const auto cursor = this->store().cursor();
  EXPECT_FALSE(cursor->valid());

  cursor->seek("a");
  ASSERT_TRUE(cursor->valid());
  EXPECT_EQ(cursor->key(), "b");
  cursor->seek("b");
  EXPECT_EQ(cursor->key(), "b");
  cursor->seek("b1");
  EXPECT_EQ(cursor->key(), "d");
  cursor->seek("e");
  EXPECT_FALSE(cursor->valid());
  EXPECT_TRUE(cursor->status());

  cursor->seek_for_previous("a");
  EXPECT_FALSE(cursor->valid());
  cursor->seek_for_previous("b");
  ASSERT_TRUE(cursor->valid());
  EXPECT_EQ(cursor->key(), "b");
  cursor->seek_for_previous("c");
  EXPECT_EQ(cursor->key(), "b");
  cursor->seek_for_previous("z");
  EXPECT_EQ(cursor->key(), "d");
}

TYPED_TEST(KvStoreContract, TurnsAroundWithoutSkipping) {
  for (const char* key : {"a", "b", "c"}) this->put(key, "");
  const auto cursor = this->store().cursor();
  cursor->seek("a");
  cursor->next();
  EXPECT_EQ(cursor->key(), "b");
  cursor->previous();
  EXPECT_EQ(cursor->key(), "a");
  cursor->next();
  cursor->next();
  EXPECT_EQ(cursor->key(), "c");
  cursor->next();
  EXPECT_FALSE(cursor->valid());
}

TYPED_TEST(KvStoreContract, ShowsEveryCursorOfASnapshotTheStoreAsItWas) {
  this->put("a", "1");
  this->put("b", "2");
  const auto snapshot = this->store().snapshot();
  this->put("a", "3");
  this->erase("b");
  this->put("c", "4");
  const Pairs before = {{"a", "1"}, {"b", "2"}};
  EXPECT_EQ(this->all(*snapshot->cursor()), before);
  ASSERT_TRUE(this->store().flush());
  this->put("a", "5");
  EXPECT_EQ(this->all(*snapshot->cursor()), before);
  EXPECT_EQ(this->all(), (Pairs{{"a", "5"}, {"c", "4"}}));
}

TYPED_TEST(KvStoreContract, ShowsACursorTheStoreAsItWas) {
  for (const char* key : {"a", "b", "c"}) this->put(key, "old");
  const auto before = this->store().cursor();
  this->put("b", "new");
  this->put("b", "newer");
  this->put("bb", "added");
  this->erase("c");
  const auto between = this->store().cursor();
  KvBatch batch;
  batch.erase_range("a", "z");
  ASSERT_TRUE(this->store().write(batch, KvDurability::process));
  this->put("a", "again");

  const Pairs old = {{"a", "old"}, {"b", "old"}, {"c", "old"}};
  const Pairs middle = {{"a", "old"}, {"b", "newer"}, {"bb", "added"}};
  EXPECT_EQ(this->all(*before), old);
  EXPECT_EQ(this->all_backward(*before), old);
  EXPECT_EQ(this->all(*between), middle);
  EXPECT_EQ(this->all_backward(*between), middle);
  EXPECT_EQ(this->all(), (Pairs{{"a", "again"}}));
}

TYPED_TEST(KvStoreContract, CountsItsBytesOnDisk) {
  this->put("k", std::string(100'000, 'v'), KvDurability::stable);
  EXPECT_GE(this->store().disk_bytes(), 100'000u);
}

TYPED_TEST(KvStoreContract, TakesWritesOfEveryDurability) {
  this->put("a", "1", KvDurability::none);
  this->put("b", "2", KvDurability::process);
  this->put("c", "3", KvDurability::stable);
  EXPECT_TRUE(this->store().sync());
  EXPECT_TRUE(this->store().flush());
  EXPECT_EQ(this->all(), (Pairs{{"a", "1"}, {"b", "2"}, {"c", "3"}}));
}

TYPED_TEST(KvStoreContract, ShowsReadersWholeBatchesOnly) {
  this->put("left", "0");
  this->put("right", "0");
  std::thread writer([&] {
    for (int i = 1; i <= 2000; ++i) {
      KvBatch batch;
      batch.put("left", std::to_string(i));
      batch.put("right", std::to_string(i));
      ASSERT_TRUE(this->store().write(batch, KvDurability::process));
    }
  });
  for (int i = 0; i < 300; ++i) {
    const Pairs seen = this->all();
    ASSERT_EQ(seen.size(), 2u);
    EXPECT_EQ(seen[0].second, seen[1].second);
  }
  writer.join();
}

// Random batches against a plain map, with cursors that live across writes.
TYPED_TEST(KvStoreContract, BehavesAsAnOrderedMapDoes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
  const auto key = [&] { return "key" + std::to_string(below(200)); };

  std::map<std::string, std::string> model;
  struct Held {
    std::unique_ptr<KvCursor> cursor;
    Pairs expected;
  };
  std::vector<Held> held;
  for (int round = 0; round < 500; ++round) {
    KvBatch batch;
    for (unsigned i = below(8); i > 0; --i) {
      const unsigned kind = below(10);
      if (kind < 6) {
        const std::string k = key(), v(below(300), static_cast<char>('a' + below(26)));
        batch.put(k, v);
        model[k] = v;
      } else if (kind < 9) {
        const std::string k = key();
        batch.erase(k);
        model.erase(k);
      } else {
        const std::string from = key(), to = from + "5";
        batch.erase_range(from, to);
        model.erase(model.lower_bound(from), model.lower_bound(to));
      }
    }
    ASSERT_TRUE(this->store().write(batch, static_cast<KvDurability>(below(50) == 0 ? 1 : 0)));
    if (below(10) == 0) held.push_back({this->store().cursor(), Pairs(model.begin(), model.end())});
    if (held.size() > 4) {
      const std::size_t at = below(5);
      ASSERT_EQ(this->all(*held[at].cursor), held[at].expected);
      ASSERT_EQ(this->all_backward(*held[at].cursor), held[at].expected);
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if (round % 100 == 99) {
      ASSERT_TRUE(this->store().flush());
    }
  }
  held.clear();
  EXPECT_EQ(this->all(), Pairs(model.begin(), model.end()));
}

}  // namespace
}  // namespace dfs
