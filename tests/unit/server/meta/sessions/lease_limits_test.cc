// How many leases a session may have, and what becomes of inodes that sessions
// write in turns. Against a whole core.
#include "tests/unit/server/meta/core/lease_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

class LeaseRoom : public LeaseCoreTest {
 protected:
  LeaseRoom() {
    config.leases_max = 32;
    restart();
    ann = connect_for_leases();
    cli = connect();
    for (int i = 0; i < 50; ++i) files.push_back(make_file(cli, std::to_string(i)).inode);
  }
  void stat_some(std::size_t from, std::size_t to) {
    for (; from < to; ++from) EXPECT_EQ(stat_lease(ann, files[from]), LeaseKind::read) << from;
  }
  std::vector<InodeId> asked(const LeaseRecall& recall) {
    std::vector<InodeId> inodes;
    for (const RecalledLease& lease : recall.leases) inodes.push_back(lease.inode);
    return inodes;
  }

  Client ann;
  Client cli;
  std::vector<InodeId> files;
};

TEST_F(LeaseRoom, IsMadeByAskingForWhatWasUsedLongestAgo) {
  stat_some(0, 32);
  stat_some(0, 1);  // once more
  EXPECT_TRUE(ann.sink->take_recalls().empty());
  stat_some(32, 33);
  const LeaseRecall recall = only_recall(ann);
  EXPECT_EQ(asked(recall), std::vector(files.begin() + 1, files.begin() + 4));
  EXPECT_EQ(recall.leases[0].keep, LeaseKind::none);
  EXPECT_EQ(stat_lease(ann, files[1]), LeaseKind::none) << "while it is asked for it";
}

TEST_F(LeaseRoom, IsNotMadeAgainUntilTheSessionHasTooManyAgain) {
  stat_some(0, 33);
  EXPECT_EQ(answer_recalls(ann), 3u);
  stat_some(33, 35);
  EXPECT_TRUE(ann.sink->take_recalls().empty());
  stat_some(35, 36);
  EXPECT_EQ(answer_recalls(ann), 3u);
}

TEST_F(LeaseRoom, IsWhatASessionThatGivesNothingBackRunsOutOf) {
  stat_some(0, 34);
  EXPECT_EQ(stat_lease(ann, files[34]), LeaseKind::none);
  EXPECT_EQ(stat_lease(ann, files[33]), LeaseKind::read) << "it has that one";
  clock.advance(1h);
  tick();
  EXPECT_FALSE(ann.sink->ended()) << "nobody waits for what it was asked";
  EXPECT_EQ(answer_recalls(ann), 3u);
  stat_some(34, 35);
}

TEST_F(LeaseRoom, IsMadeInParts) {
  config.leases_max = 6'400;
  restart();
  come(ann, {});
  cli = connect();
  std::vector<InodeId> many;
  while (many.size() < 6'401) {
    many.push_back(make_file(cli, "many" + std::to_string(many.size())).inode);
    cli.answered = cli.next_sequence - 1;
  }
  for (const InodeId inode : many) stat_lease(ann, inode);
  EXPECT_EQ(answer_recalls(ann), 256u);
  EXPECT_EQ(answer_recalls(ann), 145u);
  EXPECT_EQ(answer_recalls(ann), 0u);
}

TEST_F(LeaseRoom, IsNotGivenToClaimsBeyondIt) {
  come(ann, {.read = files});
  EXPECT_EQ(ann.welcome.leases.lost, std::vector(files.begin() + 34, files.end()));
}

class LeaseContention : public LeaseCoreTest {
 protected:
  // Both write once after the other; true if a lease went from hand to hand.
  void take_turns(int times) {
    for (int i = 0; i < times; ++i) {
      for (auto [writer, other] : {std::pair{&ann, &bob}, std::pair{&bob, &ann}}) {
        const std::uint64_t wants = ask(*writer, AcquireLeaseArgs{file, LeaseKind::write});
        answer_recalls(*other);
        last = lease_in(*writer, wants);
        if (last == LeaseKind::write_once)
          give_back(*writer, {file, LeaseKind::none, writer->sink->order_of(wants)});
      }
    }
  }
  std::uint64_t contended() {
    return get<ClusterStatusResult>(cli, ClusterStatusArgs{}).contended_inodes;
  }

  Client ann = connect_for_leases();
  Client bob = connect_for_leases();
  Client cli = connect();
  InodeId file = make_file(cli, "a").inode;
  LeaseKind last = LeaseKind::none;
};

TEST_F(LeaseContention, MakesSessionsWriteThroughUntilTheyTakeTurnsNoMore) {
  take_turns(4);
  EXPECT_EQ(last, LeaseKind::write);
  EXPECT_EQ(contended(), 0u);
  take_turns(1);
  EXPECT_EQ(last, LeaseKind::write_once);
  EXPECT_EQ(contended(), 1u);
  EXPECT_EQ(get<OpenResult>(ann, OpenArgs{.inode = file, .write = true}).attributes.lease,
            LeaseKind::read);
  take_turns(10);
  EXPECT_EQ(last, LeaseKind::write_once);

  clock.advance(Contention::kWindow);
  EXPECT_EQ(acquire(ann, file, LeaseKind::write), LeaseKind::write);
  EXPECT_EQ(contended(), 0u);
}

TEST_F(LeaseContention, IsSeenToBeOverThoughNobodyAsks) {
  take_turns(5);
  EXPECT_EQ(contended(), 1u);
  clock.advance(Contention::kWindow);
  tick();
  EXPECT_EQ(contended(), 0u);
}

TEST_F(LeaseContention, HasALeaseThatIsStillOutRecalledAsAny) {
  take_turns(5);
  const std::uint64_t first = ask(ann, AcquireLeaseArgs{file, LeaseKind::write});
  EXPECT_EQ(lease_in(ann, first), LeaseKind::write_once);
  const std::uint64_t second = ask(bob, AcquireLeaseArgs{file, LeaseKind::write});
  EXPECT_FALSE(bob.sink->has(second));
  EXPECT_EQ(ann.sink->take_recalls().size(), 1u);
  give_back(ann, {file, LeaseKind::none, ann.sink->order_of(first)});
  EXPECT_EQ(lease_in(bob, second), LeaseKind::write_once) << "it came back unasked";
}

TEST_F(LeaseContention, IsNotMadeByReadersAlone) {
  for (int i = 0; i < 20; ++i) {
    stat_lease(ann, file);
    stat_lease(bob, file);
    ask(cli, chmod(file));
    answer_recalls(ann);
    answer_recalls(bob);
  }
  EXPECT_EQ(contended(), 0u);
}

}  // namespace
}  // namespace dfs
