#include "fuse/adoption/handle_records.h"

#include <gtest/gtest.h>

#include "common/base/lasting_memory.h"
#include "fuse/handle_table.h"

namespace dfs::fuse {
namespace {

class HandleRecordsTest : public ::testing::Test {
 protected:
  HandleRecordsTest() { begin_process(); }
  void begin_process() {
    records.reset();
    const auto part = memory.part("handles", HandleRecords::kLayout, HandleRecords::bytes());
    ASSERT_TRUE(part) << part.error().to_string();
    records.emplace(part->bytes);
  }
  std::uint64_t open(std::uint64_t inode, std::uint64_t made_for = 0) {
    HandleRecord record{};
    record.kind = HandleRecord::file;
    record.inode = inode;
    record.made_for = made_for;
    return records->add(record).value();
  }

  LastingMemory memory = LastingMemory::create().value();
  std::optional<HandleRecords> records;
};

TEST_F(HandleRecordsTest, AreThereUnderTheirNumbersForTheNextProcess) {
  const std::uint64_t kept = open(5);
  const std::uint64_t closed = open(6);
  records->remove(closed);
  begin_process();
  ASSERT_EQ(records->former().size(), 1u);
  EXPECT_EQ(records->former()[0].number, kept);
  EXPECT_EQ(records->find(kept)->inode, 5u);
  EXPECT_EQ(records->find(closed), nullptr);
}

TEST_F(HandleRecordsTest, NeverUseANumberAgain) {
  const std::uint64_t first = open(5);
  records->remove(first);
  const std::uint64_t second = open(6);
  EXPECT_NE(first, second);
  records->remove(second);
  begin_process();
  const std::uint64_t third = open(7);
  EXPECT_NE(third, first);
  EXPECT_NE(third, second);
  EXPECT_EQ(records->find(first), nullptr);
  EXPECT_EQ(records->find(second), nullptr);
}

TEST_F(HandleRecordsTest, TellWhatWasMadeForARequestThatComesAgain) {
  const std::uint64_t told = open(5, 70);
  const std::uint64_t untold = open(6, 72);
  EXPECT_EQ(records->take_made_for(72), std::nullopt) << "it was made by this process";
  begin_process();
  EXPECT_EQ(records->take_made_for(72), untold);
  EXPECT_EQ(records->take_made_for(72), std::nullopt);
  EXPECT_EQ(records->take_made_for(74), std::nullopt);
  EXPECT_NE(records->find(told), nullptr);
}

TEST_F(HandleRecordsTest, LeadToEachHandleOnce) {
  HandleTable<int> table(*records);
  std::vector<std::uint64_t> numbers;
  for (int value = 1; value <= 2; ++value) {
    auto handle = std::make_unique<int>(value);
    numbers.push_back(table.add(handle, HandleRecord{}).value());
  }
  EXPECT_EQ(table.get(numbers[0]), 1);
  EXPECT_EQ(*table.take(numbers[1]), 2);
  ASSERT_EQ(table.take_all().size(), 1u);
  EXPECT_TRUE(table.take_all().empty());
}

TEST_F(HandleRecordsTest, AreKeptWhenTheirProcessEnds) {
  std::uint64_t number = 0;
  {
    HandleTable<int> table(*records);
    auto handle = std::make_unique<int>(8);
    HandleRecord record{};
    record.kind = HandleRecord::file;
    number = table.add(handle, record).value();
    EXPECT_EQ(table.get(number), 8);
  }
  begin_process();
  HandleTable<int> table(*records);
  table.put(number, std::make_unique<int>(9));
  EXPECT_EQ(*table.take(number), 9);
  EXPECT_EQ(table.take(number), nullptr) << "a release that comes again finds nothing";
}

}  // namespace
}  // namespace dfs::fuse
