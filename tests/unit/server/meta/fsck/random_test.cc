// A namespace made of random operations: what changes while it is checked, and
// what is left of it when rows vanish.
#include <functional>
#include <iostream>
#include <random>

#include "tests/unit/server/meta/fsck/fsck_fixture.h"

namespace dfs::fsck {
namespace {

class RandomFsckTest : public FsckTest {
 protected:
  RandomFsckTest() { std::cout << "seed " << seed_ << '\n'; }

  std::size_t below(std::size_t n) { return random_() % n; }
  InodeId some_directory() { return directories_[below(directories_.size())]; }
  std::string name() { return "n" + std::to_string(below(names_)); }

  void step() {
    switch (below(7)) {
      case 0: {
        const auto made = call(client, CreateArgs{.parent = some_directory(), .name = name(),
                                                  .type = FileType::directory, .exclusive = true});
        if (made && directories_.size() < 40)
          directories_.push_back(std::get<EntryResult>(*made).attributes.inode);
        return;
      }
      case 1:
      case 2: {
        const auto made = call(
            client, CreateArgs{.parent = some_directory(), .name = name(), .exclusive = true});
        if (made) write_chunk(client, std::get<EntryResult>(*made).attributes.inode);
        return;
      }
      case 3:
        (void)call(client, RenameArgs{some_directory(), name(), some_directory(), name()});
        return;
      case 4:
        (void)call(client, LinkArgs{child(some_directory(), name()), some_directory(), name()});
        return;
      case 5:
        (void)call(client, SetXattrArgs{child(some_directory(), name()), "user.x", "value"});
        return;
      default:
        (void)call(client, UnlinkArgs{some_directory(), name()});
    }
  }
  std::vector<std::string> rows_of(const std::string& prefix) {
    std::vector<std::string> rows;
    const auto cursor = store.cursor();
    for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next())
      rows.emplace_back(cursor->key());
    return rows;
  }
  // Of a table that the rows of others say something about.
  std::string some_row() {
    while (true) {
      const auto rows = rows_of(std::string(1, "IDEXACGO"[below(8)]));
      if (!rows.empty()) return rows[below(rows.size())];
    }
  }
  void erase_some_row() {
    KvBatch batch;
    batch.erase(some_row());
    ASSERT_TRUE(store.write(batch, KvDurability::process));
  }

  const unsigned seed_ = std::random_device{}();
  std::mt19937 random_{seed_};
  std::vector<InodeId> directories_ = {kRootInode, directory, sub};
  std::size_t names_ = 400;
};

// What the check reads is the snapshot; the file system is a different one at its end.
TEST_F(RandomFsckTest, FindsNothingWhileOperationsRun) {
  for (int count = 0; count < 6'000; ++count) step();

  class Busy final : public Listener {
   public:
    explicit Busy(std::function<void()> work) : work_(std::move(work)) {}
    Result<void> report(Report report) override {
      ADD_FAILURE() << report.text;
      return {};
    }
    Result<void> passed(std::uint64_t) override {
      ++calls;
      for (int count = 0; count < 20; ++count) work_();
      return {};
    }
    int calls = 0;

   private:
    const std::function<void()> work_;
  } busy([this] { step(); });
  EXPECT_EQ(check_in_rounds(store, nullptr, busy)->left, 0U);
  EXPECT_GT(busy.calls, 10);
  EXPECT_EQ(check(), std::vector<std::string>{});
}

// Whatever vanishes: the rest fits together again, and a core goes on with it.
TEST_F(RandomFsckTest, MendsWhateverRowsVanish) {
  names_ = 30;
  for (int round = 0; round < 30; ++round) {
    for (int count = 0; count < 60; ++count) step();
    stop();
    for (std::size_t count = 1 + below(5); count > 0; --count) erase_some_row();
    expect_mended({});
    ASSERT_FALSE(HasFailure()) << "seed " << seed_ << ", round " << round;
    directories_ = {kRootInode};
    for (const char* known : {"n0", "n1", "n2", "n3", "n4", "n5", "lost+found"})
      if (const InodeId found = child(kRootInode, known); found != InodeId{}) directories_.push_back(found);
  }
}

// What can be mended of it is mended at once; the names that hold stay, all of them.
TEST_F(RandomFsckTest, SettlesWhateverRowsDoNotHold) {
  for (int count = 0; count < 400; ++count) step();
  stop();
  for (int round = 0; round < 20; ++round) {
    for (std::size_t count = 1 + below(3); count > 0; --count) put_raw(some_row(), "\xff\xff");
    const std::size_t names = rows_of("D").size();
    const std::size_t inodes = rows_of("I").size();
    repair();
    ASSERT_GE(rows_of("D").size(), names) << "seed " << seed_;
    ASSERT_GE(rows_of("I").size(), inodes) << "seed " << seed_;
    const auto again = repair();
    ASSERT_EQ(summary.mended, 0U) << "seed " << seed_ << ": " << testing::PrintToString(again);
  }
}

}  // namespace
}  // namespace dfs::fsck
