// Leases and what rests on them when the server is silent, a connection breaks, or
// a session is over; and how far closing a file relies on them.
#include "tests/unit/common/client/engine_leases_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

class EngineLeaseSessionTest : public LeasedMounts {
 protected:
  // The session of `here_` is over; `meanwhile` runs before it has another one.
  template <typename Meanwhile>
  void replace_session(Meanwhile&& meanwhile) {
    here_.meta.replace_session(meanwhile, [this] { here_.fs->session_replaced(); });
  }
  // So that nothing that was written here is sent.
  void hold_storage(bool holds) {
    for (std::uint32_t id = 1; id <= 3; ++id)
      cluster_.storage.change(ServerId{id}, [holds](FakeServerMood& mood) { mood.holds = holds; });
  }
  Errc flush(OpenFile& file) {
    const auto flushed = here_.fs->flush(file, {});
    return flushed ? Errc::ok : flushed.error().code;
  }
  // Closing returns although no server takes anything.
  bool returns_at_once(FakeMount& mount, OpenFile& file) {
    hold_storage(true);
    Interrupt interrupt;
    interrupt.interrupt();
    const auto flushed = mount.fs->flush(file, {{}, &interrupt});
    hold_storage(false);
    return flushed.has_value();
  }
};

// --- silence and broken connections ----------------------------------------------------

TEST_F(EngineLeaseSessionTest, NothingIsTrustedAfterHalfTheLeaseTimeOfSilence) {
  write_file(here_, "a", "text");
  const InodeId inode = here_.inode_of("a");
  read_file(here_, "a");
  clock_.advance(FakeMetaServer::kLeaseTime / 2);
  EXPECT_EQ(calls([&] { EXPECT_EQ(here_.size(inode), 4U); }), 1U);
  EXPECT_EQ(calls([&] { EXPECT_EQ(lookup(here_, "a"), Errc::ok); }), 1U);
  here_.meta.confirm();
  EXPECT_EQ(lookup(here_, "a"), Errc::ok);
  EXPECT_EQ(calls([&] { EXPECT_EQ(lookup(here_, "a"), Errc::ok); }), 0U);
}

TEST_F(EngineLeaseSessionTest, AServerThatWasStartedAnewIsAskedOnceMore) {
  write_file(here_, "a", "text");
  const InodeId inode = here_.inode_of("a");
  read_file(here_, "a");
  here_.meta.reconnect();
  EXPECT_EQ(calls([&] { EXPECT_EQ(here_.size(inode), 4U); }), 0U);
  here_.meta.reconnect([&] { cluster_.meta.restart(); });
  EXPECT_EQ(calls([&] { EXPECT_EQ(here_.size(inode), 4U); }), 1U);
  EXPECT_EQ(calls([&] { EXPECT_EQ(here_.size(inode), 4U); }), 0U);
}

TEST_F(EngineLeaseSessionTest, AServerThatIsHeardIsTrusted) {
  write_file(here_, "a", "text");
  const InodeId inode = here_.inode_of("a");
  for (int i = 0; i < 20; ++i) {
    clock_.advance(3s);
    here_.meta.confirm();
  }
  EXPECT_EQ(calls([&] { EXPECT_EQ(here_.size(inode), 4U); }), 0U);
}

TEST_F(EngineLeaseSessionTest, LeasesOutliveAConnection) {
  write_file(here_, "a", "text");
  const OpenFilePtr file = here_.open("a", true).file;
  ASSERT_TRUE(here_.write(*file, 0, "TEXT"));
  here_.meta.reconnect();
  EXPECT_EQ(calls([&] {
              EXPECT_EQ(here_.read(*file, 0, 100), "TEXT");
              ASSERT_TRUE(here_.write(*file, 0, "Text"));
            }),
            0U);
  EXPECT_EQ(read_file(there_, "a"), "Text");
  here_.fs->close(file);
}

TEST_F(EngineLeaseSessionTest, WhatOthersGotWhileTheConnectionWasBrokenIsAskedForAgain) {
  write_file(there_, "a", "text");
  EXPECT_EQ(read_file(here_, "a"), "text");
  here_.meta.reconnect([&] {
    here_.meta.end_leases();
    cluster_.meta.welcome(here_.meta.session(), [](const LeaseRecall&) {});
    const OpenFilePtr file = there_.open("a", true).file;
    EXPECT_TRUE(there_.write(*file, 0, "TEXT"));
    there_.fs->close(file);
  });
  EXPECT_EQ(read_file(here_, "a"), "TEXT");
}

// --- another session -------------------------------------------------------------------

TEST_F(EngineLeaseSessionTest, BytesOfALostSessionAreKeptIfNobodyChangedTheFile) {
  const OpenFilePtr file = here_.create("a");
  ASSERT_TRUE(here_.write(*file, 0, "kept"));
  replace_session([] {});
  EXPECT_EQ(here_.read(*file, 0, 100), "kept");
  ASSERT_TRUE(here_.write(*file, 4, " and added"));
  EXPECT_EQ(read_file(there_, "a"), "kept and added");
  ASSERT_TRUE(here_.write(*file, 0, "KEPT"));
  EXPECT_EQ(flush(*file), Errc::ok);
  here_.fs->close(file);
  EXPECT_EQ(read_file(there_, "a"), "KEPT and added");
}

TEST_F(EngineLeaseSessionTest, BytesOfALostSessionAreDroppedAndToldIfSomebodyChangedTheFile) {
  write_file(there_, "a", "text");
  const OpenFilePtr file = here_.open("a", true).file;
  ASSERT_TRUE(here_.write(*file, 0, "lost"));
  replace_session([&] {
    const OpenFilePtr theirs = there_.open("a", true).file;
    EXPECT_TRUE(there_.write(*theirs, 4, " of others"));
    EXPECT_TRUE(there_.fs->fsync(*theirs, {}));
    there_.fs->close(theirs);
  });
  EXPECT_EQ(here_.fs->fsync(*file, {}).error().code, Errc::io);
  EXPECT_EQ(here_.read(*file, 0, 100), "text of others");
  ASSERT_TRUE(here_.write(*file, 0, "TEXT"));
  EXPECT_EQ(flush(*file), Errc::ok) << "told once, and the next bytes are good";
  here_.fs->close(file);
  EXPECT_EQ(read_file(there_, "a"), "TEXT of others");
}

TEST_F(EngineLeaseSessionTest, OurOwnChangesUnderTheNewSessionAreNotTakenForOthers) {
  const OpenFilePtr file = here_.create("a");
  const InodeId inode = here_.inode_of("a");
  ASSERT_TRUE(here_.write(*file, 0, "kept and cut"));
  hold_storage(true);
  replace_session([] {});
  cut(here_, inode, 4);
  hold_storage(false);
  EXPECT_EQ(flush(*file), Errc::ok);
  EXPECT_EQ(here_.fs->fsync(*file, {}).has_value(), true);
  EXPECT_EQ(read_file(there_, "a"), "kept");
  here_.fs->close(file);
}

TEST_F(EngineLeaseSessionTest, WhatIsWrittenAfterTheBytesInDoubtAreGoneIsInNone) {
  const OpenFilePtr file = here_.create("a");
  const InodeId inode = here_.inode_of("a");
  ASSERT_TRUE(here_.write(*file, 0, "cut away"));
  replace_session([] {});
  cut(here_, inode, 0);
  cut(there_, inode, 2);
  ASSERT_TRUE(here_.write(*file, 2, "new"));
  EXPECT_TRUE(here_.fs->fsync(*file, {}));
  EXPECT_EQ(read_file(there_, "a"), std::string("\0\0new", 5));
  here_.fs->close(file);
}

TEST_F(EngineLeaseSessionTest, ANewSessionKnowsNothing) {
  write_file(here_, "a", "text");
  EXPECT_EQ(read_file(here_, "a"), "text");
  EXPECT_EQ(lookup(here_, "b"), Errc::not_found);
  replace_session([&] {
    EXPECT_TRUE(there_.fs->rename({kRootInode, "a", kRootInode, "b"}, {}));
    write_file(there_, "b", "TEXT");
  });
  EXPECT_EQ(lookup(here_, "a"), Errc::not_found);
  EXPECT_EQ(read_file(here_, "b"), "TEXT");
}

// --- closing ---------------------------------------------------------------------------

TEST_F(EngineLeaseSessionTest, ClosingReturnsBeforeTheServersHaveTheBytesUnderALease) {
  const OpenFilePtr file = here_.create("a");
  ASSERT_TRUE(here_.write(*file, 0, "text"));
  ASSERT_TRUE(here_.fs->stat_fs({}));
  EXPECT_TRUE(returns_at_once(here_, *file));
  EXPECT_TRUE(cluster_.meta.extents(here_.inode_of("a")).empty());
  here_.fs->close(file);
  EXPECT_EQ(read_file(there_, "a"), "text") << "nobody misses them";
}

TEST_F(EngineLeaseSessionTest, ClosingWaitsWhereItShallOrWhereThereMayBeNoRoom) {
  ClientConfig config = leased_config();
  config.close_waits = true;
  FakeMount waits(cluster_, config);
  const OpenFilePtr file = waits.create("a");
  ASSERT_TRUE(waits.write(*file, 0, "text"));
  EXPECT_FALSE(returns_at_once(waits, *file));
  waits.fs->close(file);

  cluster_.meta.set_bytes_available(1 * GiB);
  const OpenFilePtr another = here_.create("b");
  ASSERT_TRUE(here_.write(*another, 0, "text"));
  EXPECT_FALSE(returns_at_once(here_, *another)) << "an error that comes later is not told";
  here_.fs->close(another);
}

TEST_F(EngineLeaseSessionTest, ClosingWaitsWithoutALeaseUnlessTheFileIsRelaxed) {
  const auto returns = [&](Consistency consistency) {
    write_file(there_, "a", "text");
    cluster_.meta.set_consistency(there_.inode_of("a"), consistency);
    clock_.advance(1min);
    here_.meta.confirm();
    there_.meta.confirm();
    const OpenFilePtr file = here_.open("a", true).file;
    EXPECT_TRUE(here_.write(*file, 0, "TEXT"));
    EXPECT_TRUE(here_.fs->stat_fs({}));
    const bool at_once = returns_at_once(here_, *file);
    EXPECT_EQ(here_.fs->fsync(*file, {}).has_value(), true);
    here_.fs->close(file);
    return at_once;
  };
  EXPECT_TRUE(returns(Consistency::strict));
  EXPECT_FALSE(returns(Consistency::close_to_open));
  EXPECT_TRUE(returns(Consistency::relaxed));
}

// --- without leases --------------------------------------------------------------------

TEST_F(EngineLeaseSessionTest, WhatIsNotStrictGoesByAge) {
  const auto config = leased_config();
  for (const Consistency consistency : {Consistency::close_to_open, Consistency::relaxed}) {
    write_file(there_, "a", "text");
    const InodeId inode = there_.inode_of("a");
    cluster_.meta.set_consistency(inode, consistency);
    here_.meta.reconnect();
    clock_.advance(1min);
    here_.meta.confirm();
    EXPECT_EQ(here_.fs->get_attributes(inode, {})->consistency, consistency);
    const auto age = consistency == Consistency::relaxed ? config.relaxed_timeout
                                                         : config.attribute_timeout;
    clock_.advance(age - 1ms);
    here_.meta.confirm();
    EXPECT_EQ(calls([&] { EXPECT_EQ(here_.size(inode), 4U); }), 0U);
    clock_.advance(1ms);
    here_.meta.confirm();
    EXPECT_EQ(calls([&] { EXPECT_EQ(here_.size(inode), 4U); }), 1U);
    EXPECT_EQ(lease(here_, inode), LeaseKind::none);

    const OpenFilePtr file = here_.open("a", true).file;
    EXPECT_TRUE(here_.write(*file, 0, "TEXT"));
    EXPECT_EQ(here_.read(*file, 0, 100), "TEXT");
    EXPECT_EQ(here_.meta.calls<AcquireLeaseArgs>(), 0U);
    EXPECT_TRUE(here_.fs->fsync(*file, {}));
    here_.fs->close(file);
  }
}

}  // namespace
}  // namespace dfs
