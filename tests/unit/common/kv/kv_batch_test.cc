#include <gtest/gtest.h>

#include <string>

#include "common/kv/kv_store.h"

namespace dfs {
namespace {

using Kind = KvBatch::Change::Kind;

std::string shown(const KvBatch& batch) {
  std::string text;
  for (const KvBatch::Change change : batch.changes()) {
    text += change.kind == Kind::put ? "put " : change.kind == Kind::erase ? "erase " : "range ";
    text += std::string(change.key) + "=" + std::string(change.value) + ";";
  }
  return text;
}

TEST(KvBatch, KeepsItsChangesInOrder) {
  KvBatch batch;
  EXPECT_TRUE(batch.empty());
  batch.put("k", "v");
  batch.erase("x");
  batch.erase_range("a", "b");
  batch.put("", "");
  EXPECT_EQ(shown(batch), "put k=v;erase x=;range a=b;put =;");
  EXPECT_EQ(batch.changes().size(), 4u);
}

TEST(KvBatch, HoldsBytesOfAnyKind) {
  const std::string key("\0\xff\n", 3);
  const std::string value(100'000, '\0');
  KvBatch batch;
  batch.put(key, value);
  const KvBatch::Change change = *batch.changes().begin();
  EXPECT_EQ(change.key, key);
  EXPECT_EQ(change.value, value);
}

TEST(KvBatch, AppendedComesAfter) {
  KvBatch first, second;
  first.put("a", "1");
  second.erase("a");
  first.append(std::move(second));
  EXPECT_EQ(shown(first), "put a=1;erase a=;");
  EXPECT_EQ(first.changes().size(), 2u);
}

TEST(KvBatch, IsEmptyOnceCleared) {
  KvBatch batch;
  batch.put("a", std::string(2 << 20, 'x'));
  batch.clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.changes().begin(), batch.changes().end());
  batch.put("b", "2");
  EXPECT_EQ(shown(batch), "put b=2;");
}

}  // namespace
}  // namespace dfs
