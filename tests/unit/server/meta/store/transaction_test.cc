#include "server/meta/store/transaction.h"

#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <random>

#include "common/kv/memory_kv_store.h"

namespace dfs {
namespace {

// A store that counts how often it is asked.
class CountingStore final : public KvStore {
 public:
  Result<std::optional<std::string>> get(std::string_view key) const override {
    ++reads;
    return inner.get(key);
  }
  std::unique_ptr<KvCursor> cursor() const override {
    ++reads;
    return inner.cursor();
  }
  std::unique_ptr<KvSnapshot> snapshot() const override { return inner.snapshot(); }
  Result<void> write(const KvBatch& batch, KvDurability durability) override {
    return inner.write(batch, durability);
  }
  Result<void> sync() override { return inner.sync(); }
  Result<void> flush() override { return inner.flush(); }
  std::uint64_t disk_bytes() const override { return inner.disk_bytes(); }

  MemoryKvStore inner;
  mutable int reads = 0;
};

class TransactionTest : public testing::Test {
 protected:
  void commit() {
    ASSERT_TRUE(store_.write(txn_.take_batch(), KvDurability::process));
    txn_.committed();
  }
  static InodeRecord sized(std::uint64_t size) {
    InodeRecord record;
    record.size = size;
    return record;
  }
  // 0: absent.
  std::uint64_t size_of(InodeId inode) {
    const auto found = txn_.find<tables::Inodes>(inode);
    EXPECT_TRUE(found);
    return *found == nullptr ? 0 : (*found)->size;
  }
  std::vector<std::uint64_t> offsets(std::uint64_t from, std::uint64_t to, std::size_t max = 100) {
    const auto rows = txn_.rows<tables::Extents>({InodeId{1}, from}, {InodeId{1}, to}, max);
    EXPECT_TRUE(rows);
    std::vector<std::uint64_t> result;
    for (const auto& row : *rows) result.push_back(row.key.offset);
    return result;
  }
  void put_extent(std::uint64_t offset, std::uint32_t length = 1) {
    txn_.put<tables::Extents>({InodeId{1}, offset}, {length, ChunkId{1}, 0});
  }

  CountingStore store_;
  RecordCache cache_;
  Transaction txn_{store_, cache_};
};

TEST_F(TransactionTest, ReadsItsOwnWritesAndTheStoreDoesNotSeeThem) {
  txn_.put<tables::Inodes>(InodeId{1}, sized(5));
  EXPECT_EQ(size_of(InodeId{1}), 5U);
  EXPECT_FALSE(*store_.get(std::string("I\0\0\0\0\0\0\0\1", 9)));
  commit();
  EXPECT_TRUE(*store_.get(std::string("I\0\0\0\0\0\0\0\1", 9)));
  EXPECT_EQ(size_of(InodeId{1}), 5U);
}

TEST_F(TransactionTest, EncodesARowOnceHoweverOftenItChanges) {
  txn_.put<tables::Inodes>(InodeId{1}, sized(1));
  for (int i = 0; i < 10; ++i) {
    txn_.begin_operation();
    ++(*txn_.edit<tables::Inodes>(InodeId{1}))->size;
  }
  EXPECT_EQ(txn_.take_batch().changes().size(), 1U);
  txn_.committed();
  EXPECT_EQ(size_of(InodeId{1}), 11U);
}

TEST_F(TransactionTest, HasNothingToCommitAfterReadsAlone) {
  EXPECT_EQ(size_of(InodeId{1}), 0U);
  EXPECT_FALSE(*txn_.find<tables::Chunks>(ChunkId{3}));
  EXPECT_FALSE(txn_.changed());
  EXPECT_TRUE(txn_.take_batch().empty());
}

TEST_F(TransactionTest, EditOfAnAbsentRowIsNullAndChangesNothing) {
  EXPECT_EQ(*txn_.edit<tables::Inodes>(InodeId{1}), nullptr);
  EXPECT_EQ(*txn_.edit<tables::Chunks>(ChunkId{1}), nullptr);
  EXPECT_FALSE(txn_.changed());
}

TEST_F(TransactionTest, UndoLeavesWhatEarlierOperationsDid) {
  txn_.begin_operation();
  txn_.put<tables::Inodes>(InodeId{1}, sized(1));
  txn_.put<tables::Chunks>(ChunkId{1}, {10, 1});
  txn_.begin_operation();
  (*txn_.edit<tables::Inodes>(InodeId{1}))->size = 2;
  (*txn_.edit<tables::Inodes>(InodeId{1}))->size = 3;
  txn_.put<tables::Inodes>(InodeId{2}, sized(9));
  txn_.erase<tables::Chunks>(ChunkId{1});
  txn_.erase<tables::Inodes>(InodeId{2});
  txn_.undo_operation();

  EXPECT_EQ(size_of(InodeId{1}), 1U);
  EXPECT_EQ(size_of(InodeId{2}), 0U);
  ASSERT_NE(*txn_.find<tables::Chunks>(ChunkId{1}), nullptr);
  EXPECT_EQ(txn_.take_batch().changes().size(), 2U);
}

TEST_F(TransactionTest, UndoOfTheOnlyOperationLeavesNothingToCommit) {
  txn_.put<tables::Inodes>(InodeId{1}, sized(1));
  txn_.put<tables::Chunks>(ChunkId{1}, {10, 1});
  commit();
  txn_.begin_operation();
  (*txn_.edit<tables::Inodes>(InodeId{1}))->size = 2;
  (*txn_.edit<tables::Chunks>(ChunkId{1}))->references = 2;
  txn_.erase<tables::Orphans>(InodeId{1});
  EXPECT_TRUE(txn_.changed());
  txn_.undo_operation();
  EXPECT_FALSE(txn_.changed());
  EXPECT_TRUE(txn_.take_batch().empty());
  EXPECT_EQ(size_of(InodeId{1}), 1U);
  EXPECT_EQ((*txn_.find<tables::Chunks>(ChunkId{1}))->references, 1U);
}

TEST_F(TransactionTest, ChangesAfterAnUndoCanBeUndoneToo) {
  txn_.put<tables::Inodes>(InodeId{1}, sized(1));
  for (int i = 0; i < 3; ++i) {
    txn_.begin_operation();
    (*txn_.edit<tables::Inodes>(InodeId{1}))->size = 7;
    txn_.undo_operation();
    ASSERT_EQ(size_of(InodeId{1}), 1U);
  }
}

TEST_F(TransactionTest, AnAbandonedBatchDoesNotPoisonTheCache) {
  txn_.put<tables::Inodes>(InodeId{1}, sized(1));
  commit();
  (*txn_.edit<tables::Inodes>(InodeId{1}))->size = 99;
  txn_.put<tables::Dirents>({InodeId{1}, "x"}, {InodeId{2}, FileType::regular, 3});
  store_.inner.fail_writes(Errc::no_space);
  EXPECT_FALSE(store_.write(txn_.take_batch(), KvDurability::process));
  txn_.abandon();

  EXPECT_EQ(size_of(InodeId{1}), 1U);
  EXPECT_EQ(*txn_.find<tables::Dirents>({InodeId{1}, "x"}), nullptr);
  EXPECT_FALSE(txn_.changed());
}

TEST_F(TransactionTest, CachedRowsAreReadWithoutTheStore) {
  txn_.put<tables::Inodes>(InodeId{1}, sized(1));
  txn_.put<tables::Dirents>({InodeId{1}, "x"}, {InodeId{2}, FileType::regular, 3});
  EXPECT_EQ(*txn_.find<tables::Dirents>({InodeId{1}, "absent"}), nullptr);
  commit();
  store_.reads = 0;
  EXPECT_EQ(size_of(InodeId{1}), 1U);
  EXPECT_NE(*txn_.find<tables::Dirents>({InodeId{1}, "x"}), nullptr);
  EXPECT_EQ(*txn_.find<tables::Dirents>({InodeId{1}, "absent"}), nullptr);
  txn_.erase<tables::Dirents>({InodeId{1}, "x"});
  commit();
  EXPECT_EQ(*txn_.find<tables::Dirents>({InodeId{1}, "x"}), nullptr);
  EXPECT_EQ(store_.reads, 0);
}

TEST_F(TransactionTest, PointersHoldWhileTheCacheExceedsItsLimit) {
  RecordCache small({.inode_bytes_max = 0, .dirent_bytes_max = 0});
  Transaction txn(store_, small);
  for (std::uint64_t i = 1; i <= 50; ++i) txn.put<tables::Inodes>(InodeId{i}, sized(i));
  ASSERT_TRUE(store_.write(txn.take_batch(), KvDurability::process));
  txn.committed();
  EXPECT_EQ(small.of<tables::Inodes>().rows(), 0U);
  const InodeRecord* first = *txn.find<tables::Inodes>(InodeId{1});
  for (std::uint64_t i = 2; i <= 50; ++i) ASSERT_NE(*txn.find<tables::Inodes>(InodeId{i}), nullptr);
  EXPECT_EQ(first->size, 1U);
  txn.abandon();
  EXPECT_EQ(small.of<tables::Inodes>().rows(), 0U);
}

TEST_F(TransactionTest, ScansMergeWhatIsStoredWithWhatHasChanged) {
  for (const std::uint64_t offset : {10, 20, 30, 40}) put_extent(offset);
  txn_.put<tables::Extents>({InodeId{2}, 0}, {1, ChunkId{1}, 0});
  commit();
  put_extent(5);
  put_extent(25);
  put_extent(40, 2);
  txn_.erase<tables::Extents>({InodeId{1}, 20});
  EXPECT_EQ(offsets(0, 100), (std::vector<std::uint64_t>{5, 10, 25, 30, 40}));
  EXPECT_EQ(offsets(10, 40), (std::vector<std::uint64_t>{10, 25, 30}));
  EXPECT_EQ(offsets(0, 100, 2), (std::vector<std::uint64_t>{5, 10}));
  const auto last = txn_.rows<tables::Extents>({InodeId{1}, 40}, {InodeId{1}, 41}, 1);
  EXPECT_EQ(last->front().record.length, 2U);
}

TEST_F(TransactionTest, ACorruptRowIsNamedAndNothingElseIsHarmed) {
  txn_.put<tables::Inodes>(InodeId{1}, sized(1));
  commit();
  KvBatch batch;
  batch.put(std::string("I\0\0\0\0\0\0\0\2", 9), "\xff");
  ASSERT_TRUE(store_.write(batch, KvDurability::process));
  const auto found = txn_.find<tables::Inodes>(InodeId{2});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::corrupt);
  EXPECT_NE(found.error().text.find("I 0000000000000002"), std::string::npos);
  EXPECT_EQ(size_of(InodeId{1}), 1U);
}

// Against a plain map: point reads, scans, last rows, undo, commit, abandon.
TEST_F(TransactionTest, BehavesAsAMapOfItsRows) {
  const std::uint32_t seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  const auto below = [&](std::uint64_t n) { return random() % n; };
  std::map<std::uint64_t, std::uint32_t> model;
  auto committed = model;
  auto before = model;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t offset = below(40);
    const std::uint64_t to = below(44);
    switch (below(9)) {
      case 0:
      case 1:
        put_extent(offset, static_cast<std::uint32_t>(step + 1));
        model[offset] = static_cast<std::uint32_t>(step + 1);
        break;
      case 2:
        txn_.erase<tables::Extents>({InodeId{1}, offset});
        model.erase(offset);
        break;
      case 3: {
        ExtentRecord* record = *txn_.edit<tables::Extents>({InodeId{1}, offset});
        ASSERT_EQ(record != nullptr, model.contains(offset));
        if (record != nullptr) {
          ASSERT_EQ(record->length, model[offset]);
        }
        break;
      }
      case 4: {
        std::vector<std::uint64_t> expected;
        for (const auto& [key, value] : model)
          if (key >= offset && key < to && expected.size() < 7) expected.push_back(key);
        ASSERT_EQ(offsets(offset, to, 7), expected);
        break;
      }
      case 5: {
        const auto last = txn_.last_row<tables::Extents>({InodeId{1}, offset}, {InodeId{1}, to});
        ASSERT_TRUE(last);
        auto expected = model.lower_bound(to);
        const bool any = expected != model.begin() && (--expected)->first >= offset;
        ASSERT_EQ(last->has_value(), any);
        if (any) {
          ASSERT_EQ((*last)->key.offset, expected->first);
          ASSERT_EQ((*last)->record.length, expected->second);
        }
        break;
      }
      case 6:
        txn_.begin_operation();
        before = model;
        break;
      case 7:
        if (below(4) != 0) {
          txn_.undo_operation();
          model = before;
          txn_.begin_operation();
        } else {
          txn_.abandon();
          txn_.begin_operation();
          before = model = committed;
        }
        break;
      default:
        if (below(4) != 0) break;
        commit();
        txn_.begin_operation();
        before = committed = model;
    }
  }
}

}  // namespace
}  // namespace dfs
