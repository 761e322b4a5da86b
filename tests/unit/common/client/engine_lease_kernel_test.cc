// What a kernel may keep under leases, and that it forgets it in time.
#include "common/base/bytes.h"
#include "common/client/open_file.h"
#include "common/rpc/protocol.h"
#include "tests/support/fake_kernel_cache.h"
#include "tests/unit/common/client/engine_leases_fixture.h"

namespace dfs {
namespace {

using What = FakeKernelCache::What;
using Keep = FileSystem::Keep;
constexpr FileRange kFirstPage{0, 4096};
constexpr FileRange kAll{0, kFileSizeMax};

class EngineLeaseKernelTest : public LeasedMounts {
 protected:
  EngineLeaseKernelTest() {
    here_.fs->set_kernel(kernel_);
    write_file(there_, "a", "text");
    inode_ = there_.inode_of("a");
  }
  ~EngineLeaseKernelTest() override { kernel_->unlock_all(); }

  OpenFilePtr open_and_read() {
    const OpenFilePtr file = here_.open("a").file;
    here_.read(*file, 0, 100);
    return file;
  }
  Keep keep(const Attributes& attributes) { return here_.fs->keep(attributes); }
  Keep keep_name(const std::string& name, InodeId inode) {
    return here_.fs->keep_name(kRootInode, name, inode);
  }
  Attributes look(InodeId inode) { return here_.fs->get_attributes(inode, {}).value(); }

  const std::shared_ptr<FakeKernelCache> kernel_ = std::make_shared<FakeKernelCache>();
  InodeId inode_;
};

// --- what is forgotten -----------------------------------------------------------------

TEST_F(EngineLeaseKernelTest, ForgetsBeforeTheLeaseIsGivenBack) {
  kernel_->watch([&](const FakeKernelCache::Event& event) {
    const InodeId inode = event.what == What::names ? kRootInode : event.inode;
    EXPECT_NE(lease(here_, inode), LeaseKind::none);
  });
  const auto forgotten_by = [&](auto&& change) {
    kernel_->take_events();
    change();
    return kernel_->take_events();
  };
  using Events = std::vector<FakeKernelCache::Event>;
  here_.inode_of("a");
  EXPECT_EQ(forgotten_by([&] { change_mode(there_, inode_, 0600); }),
            (Events{{What::pages, inode_, kAll}}))
      << "of an idle file";
  const OpenFilePtr file = open_and_read();
  EXPECT_EQ(forgotten_by([&] { change_mode(there_, inode_, 0644); }),
            (Events{{What::pages, inode_, kAll}, {What::attributes, inode_, {}}}))
      << "of an open one";
  here_.fs->close(file);
  look(kRootInode);
  EXPECT_EQ(forgotten_by([&] { there_.fs->close(there_.create("b")); }),
            (Events{{What::pages, kRootInode, kAll}, {What::names, {}, {}}}))
      << "of a directory";
}

TEST_F(EngineLeaseKernelTest, LetsAListingBeKeptUntilOthersChangeIt) {
  const auto open = [&] { return here_.fs->open_directory(kRootInode, {}); };
  look(inode_);
  EXPECT_TRUE(open().may_keep);
  EXPECT_FALSE(open().is_kept) << "nothing was told";
  list(here_);
  EXPECT_TRUE(open().is_kept);
  EXPECT_EQ(calls([&] { EXPECT_TRUE(open().is_kept); }), 0U);

  ASSERT_TRUE(there_.fs->make_node(kRootInode, "b", FileType::directory, 0755, 0, {}));
  EXPECT_FALSE(open().is_kept);
  list(here_);
  EXPECT_TRUE(open().is_kept);

  change_mode(there_, inode_, 0600);
  EXPECT_FALSE(open().is_kept) << "a listing brings the attributes of all";
}

TEST_F(EngineLeaseKernelTest, KeepsThePagesOfAFileThatIsOnlyReadElsewhere) {
  const OpenFilePtr file = here_.open("a", true).file;
  ASSERT_TRUE(here_.write(*file, 0, "TEXT"));
  kernel_->take_events();
  EXPECT_EQ(read_file(there_, "a"), "TEXT");
  EXPECT_EQ(kernel_->take_events(),
            (std::vector<FakeKernelCache::Event>{{What::attributes, inode_, {}}}))
      << "the commit gave it other times";
  here_.fs->close(file);
}

TEST_F(EngineLeaseKernelTest, LeavesOutThePagesOfAReadThatWaits) {
  const OpenFilePtr mine = open_and_read();
  const OpenFilePtr theirs = there_.open("a", true).file;
  kernel_->lock(inode_, kFirstPage);  // by a read that has not arrived here yet
  std::thread writer([&] { EXPECT_TRUE(there_.write(*theirs, 0, "TEXT")); });
  EXPECT_TRUE(kernel_->begins({What::pages, inode_, kAll}));
  EXPECT_EQ(here_.read(*mine, 0, 100), "TEXT") << "under the next lease";
  EXPECT_TRUE(kernel_->begins({What::pages, inode_, {4096, kFileSizeMax - 4096}}));
  kernel_->unlock_all();
  writer.join();
  here_.fs->close(mine);
  there_.fs->close(theirs);
}

TEST_F(EngineLeaseKernelTest, ForgetsThePagesOfAWriteThatWaitedAfterIt) {
  const OpenFilePtr mine = here_.open("a", true).file;
  here_.read(*mine, 0, 100);
  const OpenFilePtr theirs = there_.open("a", true).file;
  kernel_->lock(inode_, kFirstPage);
  std::thread writer([&] { EXPECT_TRUE(there_.write(*theirs, 4, " of others")); });
  EXPECT_TRUE(kernel_->begins({What::pages, inode_, kAll}));
  EXPECT_TRUE(here_.write(*mine, 0, "TEXT"));
  kernel_->unlock_all();
  writer.join();
  EXPECT_TRUE(kernel_->forgets({What::pages, inode_, kFirstPage})) << "it has others' bytes too";
  EXPECT_EQ(here_.read(*mine, 0, 100), "TEXT of others");
  here_.fs->close(mine);
  there_.fs->close(theirs);
}

TEST_F(EngineLeaseKernelTest, ForgetsThePagesOfAWriteThatAnOpenMayHaveOvertaken) {
  const OpenFilePtr mine = here_.open("a", true).file;
  kernel_->take_events();
  ASSERT_TRUE(here_.write(*mine, 0, "TEXT"));
  EXPECT_TRUE(kernel_->take_events().empty());

  OpenOptions past_the_cache;
  past_the_cache.direct = true;
  const Result<Opened> other = here_.fs->open(inode_, past_the_cache, {});
  ASSERT_TRUE(other && !other->keep_cache);
  ASSERT_TRUE(here_.write(*mine, 0, "Text"));
  EXPECT_TRUE(kernel_->forgets({What::pages, inode_, kFirstPage}));

  kernel_->take_events();
  clock_.advance(std::chrono::seconds{1});
  ASSERT_TRUE(here_.write(*mine, 0, "tEXT"));
  EXPECT_TRUE(kernel_->take_events().empty()) << "it has begun long after that";
  here_.fs->close(other->file);
  here_.fs->close(mine);
}

TEST_F(EngineLeaseKernelTest, ForgetsThePagesOfAWriteThatAnotherWriteMayHaveDropped) {
  const OpenFilePtr mine = here_.open("a", true).file;
  const OpenFilePtr other = here_.open("a", true).file;
  CallContext append;
  append.append = true;
  ASSERT_TRUE(here_.fs->write(*other, 2, as_bytes("+"), append));
  kernel_->take_events();
  ASSERT_TRUE(here_.write(*mine, 0, "TEXT"));
  EXPECT_TRUE(kernel_->forgets({What::pages, inode_, kFirstPage}));
  here_.fs->close(other);
  here_.fs->close(mine);
}

TEST_F(EngineLeaseKernelTest, ForgetsPagesWhereAnAppendWasTakenToGo) {
  const OpenFilePtr file = here_.open("a", true).file;
  kernel_->take_events();
  CallContext append;
  append.append = true;
  ASSERT_TRUE(here_.fs->write(*file, 4, as_bytes("+"), append));
  EXPECT_TRUE(kernel_->take_events().empty()) << "where the kernel put it";
  ASSERT_TRUE(here_.fs->write(*file, 2, as_bytes("+"), append));
  EXPECT_TRUE(kernel_->forgets({What::pages, inode_, kFirstPage}));
  EXPECT_TRUE(kernel_->forgets({What::stored, inode_, {5, 1}})) << "there it ends";
  EXPECT_EQ(here_.read(*file, 0, 100), "text++");
  here_.fs->close(file);
}

// Somebody has opened it again by now, and reads.
TEST_F(EngineLeaseKernelTest, APageOfAnIdleFileThatIsLockedHoldsUpNoOther) {
  write_file(there_, "b", "text");
  here_.inode_of("a");
  const InodeId other = here_.inode_of("b");
  kernel_->lock(inode_, kFirstPage);
  std::thread changer([&] { change_mode(there_, inode_, 0600); });
  EXPECT_TRUE(kernel_->begins({What::pages, inode_, kAll}));
  change_mode(there_, other, 0600);
  const OpenFilePtr file = here_.fs->open(inode_, {}, {})->file;
  EXPECT_EQ(here_.read(*file, 0, 100), "text");
  kernel_->unlock_all();
  changer.join();
  here_.fs->close(file);
}

TEST_F(EngineLeaseKernelTest, ALockedPageIsWaitedForOnceHoweverLongThatTakes) {
  write_file(there_, "b", "text");
  const OpenFilePtr file = open_and_read();
  const OpenFilePtr other = here_.open("b").file;
  const InodeId inode = other->state()->inode;
  kernel_->lock(inode_, kFirstPage);
  std::thread changer([&] { change_mode(there_, inode_, 0600); });
  EXPECT_TRUE(kernel_->begins({What::pages, inode_, kAll}));
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
  while (std::chrono::steady_clock::now() < until) {
    here_.read(*other, 0, 100);
    change_mode(there_, inode, 0600);
  }
  EXPECT_EQ(kernel_->times_begun({What::pages, inode_, kAll}), 1);
  kernel_->unlock_all();
  changer.join();
  here_.fs->close(file);
  here_.fs->close(other);
}

TEST_F(EngineLeaseKernelTest, ForgetsWhatALostSessionWasTold) {
  const OpenFilePtr file = open_and_read();
  kernel_->take_events();
  here_.meta.replace_session([] {}, [this] { here_.fs->session_replaced(); });
  EXPECT_TRUE(kernel_->forgets({What::pages, inode_, kAll}));
  EXPECT_TRUE(kernel_->forgets({What::attributes, inode_, {}}));
  EXPECT_TRUE(kernel_->forgets({What::names, {}, {}}));
  here_.fs->close(file);
}

TEST_F(EngineLeaseKernelTest, ForgetsWhatItWasToldWhenTheServerIsSilent) {
  const OpenFilePtr file = open_and_read();
  kernel_->take_events();
  clock_.advance(FakeMetaServer::kLeaseTime / 2);
  EXPECT_TRUE(kernel_->forgets({What::pages, inode_, kAll}));
  EXPECT_TRUE(kernel_->forgets({What::attributes, inode_, {}}));
  EXPECT_TRUE(kernel_->forgets({What::names, {}, {}}));
  here_.fs->close(file);
}

TEST_F(EngineLeaseKernelTest, NobodyIsToldAnythingAfterItHasGone) {
  here_.inode_of("a");
  here_.fs->set_kernel(nullptr);
  kernel_->take_events();
  change_mode(there_, inode_, 0600);
  EXPECT_TRUE(kernel_->take_events().empty());
}

// --- what may be kept ------------------------------------------------------------------

TEST_F(EngineLeaseKernelTest, AttributesAreKeptUntilItIsToldWhereALeaseSaysSo) {
  here_.inode_of("a");
  const Attributes told = look(inode_);
  EXPECT_EQ(keep(told), Keep::until_told);
  Attributes without = told;
  without.lease_order = 0;
  EXPECT_EQ(keep(without), Keep::no);
  Attributes provisional = told;
  provisional.provisional = true;
  EXPECT_EQ(keep(provisional), Keep::no);
  change_mode(here_, inode_, 0600);
  EXPECT_EQ(keep(told), Keep::no) << "another answer tells what was changed";
  EXPECT_EQ(keep(look(inode_)), Keep::until_told);
  change_mode(there_, inode_, 0644);
  EXPECT_EQ(keep(told), Keep::no);

  cluster_.meta.set_consistency(inode_, Consistency::close_to_open);
  change_mode(there_, inode_, 0600);
  EXPECT_EQ(keep(look(inode_)), Keep::for_a_while);
}

TEST_F(EngineLeaseKernelTest, NamesAreKeptUntilItIsToldWhereALeaseSaysSo) {
  EXPECT_EQ(keep_name("a", inode_), Keep::no) << "nobody has asked";
  EXPECT_EQ(here_.inode_of("a"), inode_);
  EXPECT_EQ(keep_name("a", inode_), Keep::until_told);
  EXPECT_EQ(keep_name("b", {}), Keep::no);
  EXPECT_EQ(lookup(here_, "b"), Errc::not_found);
  EXPECT_EQ(keep_name("b", {}), Keep::until_told);
  there_.fs->close(there_.create("b"));
  EXPECT_EQ(keep_name("b", {}), Keep::no);
  EXPECT_EQ(keep_name("a", inode_), Keep::no);
}

TEST_F(EngineLeaseKernelTest, WithoutLeasesAllIsKeptForAWhileButThatThereIsNothing) {
  FakeMount plain(cluster_);
  const InodeId inode = plain.inode_of("a");
  EXPECT_EQ(plain.fs->keep(plain.fs->get_attributes(inode, {}).value()), Keep::for_a_while);
  EXPECT_EQ(plain.fs->keep_name(kRootInode, "a", inode), Keep::for_a_while);
  EXPECT_EQ(plain.fs->keep_name(kRootInode, "b", {}), Keep::no);
}

}  // namespace
}  // namespace dfs
