// What is known under leases needs no call, and what others do is seen at once.
#include <atomic>
#include <thread>

#include "tests/unit/common/client/engine_leases_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

class EngineLeasesTest : public LeasedMounts {};
using Names = std::vector<std::string>;

// --- what needs no call ----------------------------------------------------------------

TEST_F(EngineLeasesTest, AStatUnderALeaseMakesNoCall) {
  write_file(here_, "a", "text");
  const InodeId inode = here_.inode_of("a");
  clock_.advance(5s);
  EXPECT_EQ(calls([&] { EXPECT_EQ(here_.size(inode), 4U); }), 0U);
}

TEST_F(EngineLeasesTest, ANameThatIsKnownMakesNoCallNorDoesOneThatIsKnownToBeAbsent) {
  write_file(here_, "a", "text");
  EXPECT_EQ(lookup(here_, "none"), Errc::not_found);
  clock_.advance(5s);
  EXPECT_EQ(calls([&] {
              EXPECT_EQ(lookup(here_, "a"), Errc::ok);
              EXPECT_EQ(lookup(here_, "none"), Errc::not_found);
            }),
            0U);
  write_file(here_, "none", "some");
  EXPECT_EQ(calls([&] { EXPECT_EQ(lookup(here_, "none"), Errc::ok); }), 0U);
  ASSERT_TRUE(here_.fs->unlink(kRootInode, "none", {}));
  EXPECT_EQ(calls([&] { EXPECT_EQ(lookup(here_, "none"), Errc::not_found); }), 0U);
}

TEST_F(EngineLeasesTest, AListingMakesNoCallUntilANameIsChangedHere) {
  write_file(here_, "a", "text");
  EXPECT_EQ(list(here_), (Names{"a"}));
  EXPECT_EQ(calls([&] {
              EXPECT_EQ(list(here_), (Names{"a"}));
              EXPECT_EQ(lookup(here_, "a"), Errc::ok);
            }),
            0U);
  write_file(here_, "b", "text");
  EXPECT_EQ(calls([&] { EXPECT_EQ(list(here_), (Names{"a", "b"})); }), 1U);
  ASSERT_TRUE(here_.fs->rename({kRootInode, "a", kRootInode, "c"}, {}));
  EXPECT_EQ(list(here_), (Names{"b", "c"}));
  EXPECT_EQ(calls([&] {
              EXPECT_EQ(lookup(here_, "a"), Errc::not_found);
              EXPECT_EQ(lookup(here_, "c"), Errc::ok);
            }),
            0U);
}

TEST_F(EngineLeasesTest, AListingShowsWhatWasWrittenHereSince) {
  write_file(here_, "a", "text");
  list(here_);
  const Opened opened = here_.open("a", true);
  ASSERT_TRUE(here_.write(*opened.file, 0, "longer text"));
  const auto listed = here_.fs->read_directory(kRootInode, 0, 100, {});
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->entries.front().attributes.size, 11U);
  here_.fs->close(opened.file);
}

TEST_F(EngineLeasesTest, OpeningReadingAndClosingWhatIsCachedMakesNoCall) {
  write_file(here_, "a", "text");
  EXPECT_EQ(read_file(here_, "a"), "text");
  EXPECT_EQ(calls([&] { EXPECT_EQ(read_file(here_, "a"), "text"); }), 0U);
  EXPECT_EQ(cluster_.meta.opens(here_.inode_of("a")), 0U);
}

TEST_F(EngineLeasesTest, AnExtendedAttributeThatIsNotThereMakesNoCall) {
  write_file(here_, "a", "text");
  const InodeId inode = here_.inode_of("a");
  EXPECT_EQ(calls([&] {
              EXPECT_EQ(here_.fs->get_xattr(inode, "user.a", {}).error().code, Errc::no_data);
            }),
            0U);
  ASSERT_TRUE(there_.fs->set_xattr({inode, "user.a", "value"}, {}));
  EXPECT_EQ(here_.fs->get_xattr(inode, "user.a", {}).value(), "value");
}

TEST_F(EngineLeasesTest, WritingAgainMakesOneCallForTheCommitOnly) {
  write_file(here_, "a", "text");
  const Opened opened = here_.open("a", true);
  EXPECT_EQ(calls([&] {
              ASSERT_TRUE(here_.write(*opened.file, 0, "TEXT"));
              EXPECT_EQ(here_.read(*opened.file, 0, 10), "TEXT");
              ASSERT_TRUE(here_.write(*opened.file, 4, " and more"));
              EXPECT_EQ(here_.size(opened.attributes.inode), 13U);
            }),
            0U);
  EXPECT_EQ(lease(here_, opened.attributes.inode), LeaseKind::write);
  here_.fs->close(opened.file);
}

// Attributes that the cache has from before a file came into use are older than
// what was done to it since, though the lease has been there all the time.
TEST_F(EngineLeasesTest, WhatWasChangedIsKnownAfterTheFileIsOutOfUse) {
  ClientConfig config = leased_config();
  config.inodes_max = 16;
  FakeMount small(cluster_, config);
  write_file(there_, "a", "text");
  const InodeId inode = small.inode_of("a");
  OpenFilePtr file = small.open("a").file;
  change_mode(small, inode, 0600);
  small.fs->close(std::move(file));
  for (int i = 0; i < 200; ++i) small.fs->close(small.create("f" + std::to_string(i)));
  EXPECT_EQ(small.fs->get_attributes(inode, {})->mode, 0600U);
}

TEST_F(EngineLeasesTest, WhatIsRemovedLeavesNoLeaseBehind) {
  const std::size_t before = here_.fs->lease_hooks().claims().write.size();
  here_.meta.reconnect();
  for (int i = 0; i < 20; ++i) {
    const OpenFilePtr file = here_.create("a");
    ASSERT_TRUE(here_.fs->unlink(kRootInode, "a", {}));
    here_.fs->close(file);
  }
  EXPECT_EQ(here_.fs->lease_hooks().claims().write.size(), before);
  here_.meta.reconnect();
}

// --- what others do --------------------------------------------------------------------

TEST_F(EngineLeasesTest, WhatOthersChangeIsAskedForAgain) {
  write_file(here_, "a", "text");
  EXPECT_EQ(read_file(here_, "a"), "text");
  EXPECT_EQ(lookup(here_, "b"), Errc::not_found);
  EXPECT_EQ(list(here_), (Names{"a"}));

  write_file(there_, "a", "text from there");
  EXPECT_EQ(here_.size(here_.inode_of("a")), 15U);
  EXPECT_EQ(read_file(here_, "a"), "text from there");
  ASSERT_TRUE(there_.fs->rename({kRootInode, "a", kRootInode, "b"}, {}));
  EXPECT_EQ(lookup(here_, "a"), Errc::not_found);
  EXPECT_EQ(read_file(here_, "b"), "text from there");
  EXPECT_EQ(list(here_), (Names{"b"}));
  change_mode(there_, there_.inode_of("b"), 0600);
  EXPECT_EQ(here_.fs->lookup(kRootInode, "b", {})->mode, 0600U);
  ASSERT_TRUE(there_.fs->unlink(kRootInode, "b", {}));
  EXPECT_EQ(lookup(here_, "b"), Errc::not_found);
  EXPECT_EQ(list(here_), Names{});
}

TEST_F(EngineLeasesTest, AReaderElsewhereSeesWhatWriteTook) {
  const OpenFilePtr file = here_.create("a");
  const InodeId inode = here_.inode_of("a");
  ASSERT_TRUE(here_.write(*file, 0, "not sent yet"));
  EXPECT_EQ(lease(here_, inode), LeaseKind::write);
  EXPECT_EQ(there_.size(inode), 12U);
  EXPECT_EQ(lease(here_, inode), LeaseKind::read) << "it may go on reading";
  const Opened opened = there_.open("a");
  EXPECT_EQ(there_.read(*opened.file, 0, 100), "not sent yet");
  ASSERT_TRUE(here_.write(*file, 0, "NOT"));
  EXPECT_EQ(there_.read(*opened.file, 0, 100), "NOT sent yet");
  EXPECT_EQ(here_.read(*file, 0, 100), "NOT sent yet");
  EXPECT_EQ(calls([&] { EXPECT_EQ(here_.read(*file, 0, 100), "NOT sent yet"); }), 0U);
  there_.fs->close(opened.file);
  here_.fs->close(file);
}

TEST_F(EngineLeasesTest, AReadLeaseIsTakenByNobodyWhoOnlyReads) {
  write_file(here_, "a", "text");
  EXPECT_EQ(read_file(there_, "a"), "text");
  EXPECT_EQ(read_file(here_, "a"), "text");
  const std::size_t recalls = cluster_.meta.recalls();
  EXPECT_EQ(calls([&] { EXPECT_EQ(read_file(here_, "a"), "text"); }), 0U);
  EXPECT_EQ(read_file(there_, "a"), "text");
  EXPECT_EQ(cluster_.meta.recalls(), recalls);
}

TEST_F(EngineLeasesTest, WritersInTurnLoseNothing) {
  const OpenFilePtr mine = here_.create("a");
  const OpenFilePtr theirs = there_.open("a", true).file;
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    const std::string text(1, letter);
    ASSERT_TRUE(here_.write(*mine, 0, text));
    ASSERT_EQ(there_.read(*theirs, 0, 1), text);
    ASSERT_TRUE(there_.write(*theirs, 1, text));
    ASSERT_EQ(here_.read(*mine, 0, 10), text + text);
  }
  here_.fs->close(mine);
  there_.fs->close(theirs);
}

// The same of both at once: whoever reads sees nothing that was there before what
// it has seen already. And what is asked for is used before it goes back.
TEST_F(EngineLeasesTest, AReaderBesideAWriterSeesNoOlderBytesAndKeepsNobodyFromWriting) {
  constexpr std::size_t kWrites = 300;
  const OpenFilePtr mine = here_.create("a");
  ASSERT_TRUE(here_.write(*mine, 0, "00000"));
  const OpenFilePtr theirs = there_.open("a").file;
  EXPECT_EQ(there_.read(*theirs, 0, 5), "00000");
  std::atomic<bool> over{false};
  std::thread writer([&] {
    for (std::size_t i = 1; i <= kWrites; ++i) {
      std::string text = std::to_string(i);
      text.insert(0, 5 - text.size(), '0');
      EXPECT_TRUE(here_.write(*mine, 0, text));
      std::this_thread::yield();
    }
    over = true;
  });
  std::string last;
  std::size_t reads = 0;
  while (!over) {
    const std::string text = there_.read(*theirs, 0, 5);
    EXPECT_GE(text, last);
    last = text;
    ++reads;
  }
  writer.join();
  EXPECT_EQ(there_.read(*theirs, 0, 5), "00300");
  EXPECT_LT(here_.meta.calls<AcquireLeaseArgs>(), 2 * kWrites) << "for " << reads << " reads";
  there_.fs->close(theirs);
  here_.fs->close(mine);
}

TEST_F(EngineLeasesTest, AppendsOfTwoMountsDoNotOverlap) {
  const OpenFilePtr mine = here_.create("log");
  const OpenFilePtr theirs = there_.open("log", true).file;
  constexpr int kLines = 100;
  const auto append = [](FakeMount& mount, OpenFile& file, char letter) {
    CallContext context;
    context.append = true;
    const std::string line = std::string(9, letter) + "\n";
    for (int i = 0; i < kLines; ++i)
      EXPECT_TRUE(mount.fs->write(file, 0, as_bytes(line), context));
  };
  std::thread other([&] { append(there_, *theirs, 't'); });
  append(here_, *mine, 'h');
  other.join();
  const std::string all = here_.read(*mine, 0, 1 * MiB);
  ASSERT_EQ(all.size(), 2U * kLines * 10);
  EXPECT_EQ(there_.read(*theirs, 0, 1 * MiB), all);
  for (std::size_t at = 0; at < all.size(); at += 10) {
    const std::string line = all.substr(at, 10);
    EXPECT_EQ(line, std::string(9, line.front()) + "\n") << "at " << at;
  }
  here_.fs->close(mine);
  there_.fs->close(theirs);
}

TEST_F(EngineLeasesTest, AContendedFileIsWrittenThroughAndItsLeaseGivenBackUnasked) {
  const OpenFilePtr mine = here_.create("a");
  const OpenFilePtr theirs = there_.open("a", true).file;
  const InodeId inode = here_.inode_of("a");
  cluster_.meta.set_contended(inode);
  ASSERT_TRUE(there_.write(*theirs, 0, "from there"));
  EXPECT_EQ(cluster_.meta.attributes(inode).size, 10U) << "sent before write() returns";
  EXPECT_TRUE(await([&] { return lease(there_, inode) == LeaseKind::none; }));
  const std::size_t recalls = cluster_.meta.recalls();
  ASSERT_TRUE(here_.write(*mine, 10, " and here"));
  EXPECT_EQ(cluster_.meta.attributes(inode).size, 19U);
  EXPECT_TRUE(await([&] { return lease(here_, inode) == LeaseKind::none; }));
  EXPECT_EQ(there_.read(*theirs, 0, 100), "from there and here");
  EXPECT_EQ(cluster_.meta.recalls(), recalls);
  here_.fs->close(mine);
  there_.fs->close(theirs);
}

TEST_F(EngineLeasesTest, AMountWithoutLeasesIsWaitedForByNobodyAndSeesWhatWasWritten) {
  FakeMount plain(cluster_);
  const OpenFilePtr file = here_.create("a");
  ASSERT_TRUE(here_.write(*file, 0, "not sent yet"));
  EXPECT_EQ(read_file(plain, "a"), "not sent yet");
  write_file(plain, "a", "from the plain one");
  EXPECT_EQ(here_.read(*file, 0, 100), "from the plain one");
  here_.fs->close(file);
}

}  // namespace
}  // namespace dfs
