#include "common/rpc/operation_table.h"

#include <gtest/gtest.h>

#include "common/base/lasting_memory.h"

namespace dfs {
namespace {

class OperationTableTest : public ::testing::Test {
 protected:
  OperationTableTest() { begin_process(); }
  // As after a kill: the memory is there, nothing else.
  void begin_process() {
    table.reset();
    const auto part = memory.part("operations", OperationTable::kLayout, OperationTable::bytes());
    ASSERT_TRUE(part) << part.error().to_string();
    table.emplace(part->bytes);
  }
  // A mutation as the session sends it; what sequence it goes with.
  std::uint64_t send(std::uint64_t operation, std::uint64_t identity) {
    table->begin(operation);
    if (const auto former = table->take(operation, identity)) return *former;
    table->record(operation, identity, ++last_sequence);
    return last_sequence;
  }

  LastingMemory memory = LastingMemory::create().value();
  std::optional<OperationTable> table;
  std::uint64_t last_sequence = 0;
};

TEST_F(OperationTableTest, GivesAMutationThatIsSentAgainTheSequenceThatItHad) {
  const std::uint64_t first = send(70, 1);
  const std::uint64_t second = send(70, 2);
  const std::uint64_t other = send(72, 1);
  begin_process();
  EXPECT_EQ(send(72, 1), other);
  EXPECT_EQ(send(70, 2), second);
  EXPECT_EQ(send(70, 1), first);
}

TEST_F(OperationTableTest, GivesItOnceEvenIfTwoMutationsAreAlike) {
  const std::uint64_t first = send(70, 1);
  const std::uint64_t second = send(70, 1);
  ASSERT_NE(first, second);
  begin_process();
  EXPECT_EQ(send(70, 1), first);
  EXPECT_EQ(send(70, 1), second);
  EXPECT_GT(send(70, 1), second);
}

TEST_F(OperationTableTest, OutlivesOneProcessAfterTheOther) {
  const std::uint64_t first = send(70, 1);
  begin_process();
  begin_process();
  EXPECT_EQ(send(70, 1), first);
  const std::uint64_t second = send(70, 2);
  begin_process();
  EXPECT_EQ(send(70, 1), first);
  EXPECT_EQ(send(70, 2), second);
}

TEST_F(OperationTableTest, ForgetsWhatIsOver) {
  send(70, 1);
  table->over(70);
  EXPECT_EQ(table->oldest(), std::nullopt);
  begin_process();
  EXPECT_EQ(table->size(), 0u);
  EXPECT_EQ(table->take(70, 1), std::nullopt);
}

TEST_F(OperationTableTest, RecordsNothingOfAnOperationThatIsOver) {
  table->begin(70);
  table->over(70);
  table->record(70, 1, 5);
  EXPECT_EQ(table->oldest(), std::nullopt);
  begin_process();
  EXPECT_EQ(table->size(), 0u);
}

TEST_F(OperationTableTest, KnowsTheOldestSequenceThatMayBeAskedForAgain) {
  send(70, 1);
  send(72, 1);
  EXPECT_EQ(table->oldest(), 1u);
  begin_process();
  EXPECT_EQ(table->oldest(), 1u);
  send(70, 1);
  table->over(70);
  EXPECT_EQ(table->oldest(), 2u);
}

TEST_F(OperationTableTest, EndsWhatNobodyAskedForAgain) {
  send(70, 1);
  send(72, 1);
  begin_process();
  table->begin(72);
  EXPECT_EQ(table->end_abandoned(), 1u);
  EXPECT_EQ(table->oldest(), 2u);
}

TEST_F(OperationTableTest, KnowsNoSequenceOfAFormerSession) {
  send(70, 1);
  begin_process();
  table->begin(70);
  table->forget_sequences();
  EXPECT_EQ(table->take(70, 1), std::nullopt);
  table->record(70, 1, 9);
  EXPECT_EQ(table->oldest(), 9u);
}

TEST_F(OperationTableTest, LetsWhatIsBeyondItsBoundsGoUnrecorded) {
  for (std::uint64_t identity = 0; identity < OperationTable::kMutationsMax + 2; ++identity)
    send(70, identity);
  for (std::uint64_t operation = 0; operation < OperationTable::kOperationsMax + 2; ++operation)
    send(1000 + 2 * operation, 1);
  begin_process();
  EXPECT_EQ(table->size(), OperationTable::kOperationsMax);
  EXPECT_EQ(table->take(70, OperationTable::kMutationsMax), std::nullopt);
}

}  // namespace
}  // namespace dfs
