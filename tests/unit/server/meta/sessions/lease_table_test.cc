#include "server/meta/sessions/lease_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace dfs {
namespace {

constexpr std::uint64_t kLater = 1'000;

LeaseKey key(std::uint64_t session, std::uint64_t inode) {
  return {SessionId{session}, InodeId{inode}};
}
std::vector<InodeId> oldest_first(const LeaseTable& table, std::uint64_t session) {
  std::vector<InodeId> inodes;
  table.visit_oldest(SessionId{session}, [&](const LeaseTable::Lease& lease) {
    inodes.push_back(lease.inode);
    return true;
  });
  return inodes;
}
std::set<SessionId> elsewhere(const LeaseTable& table, LeaseKey of, LeaseKind keep) {
  std::set<SessionId> sessions;
  table.visit_elsewhere(of, keep, [&](const LeaseTable::Lease& lease) {
    sessions.insert(lease.holder->session);
  });
  return sessions;
}
const auto kNothing = [](auto) {};

TEST(LeaseTable, SaysWhatOneHasAndWhatOthersHave) {
  LeaseTable table;
  table.grant(key(1, 7), LeaseKind::read, 1);
  table.grant(key(2, 7), LeaseKind::read, 2);
  table.grant(key(1, 8), LeaseKind::write, 3);
  EXPECT_EQ(table.standing(key(1, 7)).own, LeaseKind::read);
  EXPECT_EQ(table.standing(key(1, 7)).elsewhere, LeaseKind::read);
  EXPECT_EQ(table.standing(key(1, 8)).own, LeaseKind::write);
  EXPECT_EQ(table.standing(key(1, 8)).elsewhere, LeaseKind::none);
  EXPECT_EQ(table.standing(key(3, 8)).elsewhere, LeaseKind::write);
  EXPECT_EQ(elsewhere(table, key(3, 7), LeaseKind::none),
            (std::set{SessionId{1}, SessionId{2}}));
  EXPECT_TRUE(elsewhere(table, key(3, 7), LeaseKind::read).empty());
  EXPECT_TRUE(table.anybody_but(SessionId{1}));
  table.give_back(key(2, 7), LeaseKind::none, kLater);
  EXPECT_FALSE(table.anybody_but(SessionId{1}));
}

TEST(LeaseTable, TakesBackOnlyWhatWasGrantedBefore) {
  LeaseTable table;
  table.grant(key(1, 7), LeaseKind::write, 5);
  table.give_back(key(1, 7), LeaseKind::none, 4);
  EXPECT_EQ(table.kind(key(1, 7)), LeaseKind::write);
  table.give_back(key(1, 7), LeaseKind::read, 5);
  EXPECT_EQ(table.kind(key(1, 7)), LeaseKind::read);
  table.grant(key(1, 7), LeaseKind::read, 9);
  table.give_back(key(1, 7), LeaseKind::none, 8);
  EXPECT_EQ(table.kind(key(1, 7)), LeaseKind::read) << "renewed since";
  table.give_back(key(1, 8), LeaseKind::read, kLater);
  EXPECT_EQ(table.kind(key(1, 8)), LeaseKind::none) << "giving back gives nothing";
}

TEST(LeaseTable, KnowsWhatWasUsedLongestAgo) {
  LeaseTable table;
  for (const std::uint64_t inode : {1, 2, 3}) table.grant(key(1, inode), LeaseKind::read, inode);
  table.grant(key(1, 1), LeaseKind::read, 4);
  EXPECT_EQ(oldest_first(table, 1), (std::vector{InodeId{2}, InodeId{3}, InodeId{1}}));
  table.give_back(key(1, 3), LeaseKind::none, kLater);
  EXPECT_EQ(oldest_first(table, 1), (std::vector{InodeId{2}, InodeId{1}}));
}

TEST(LeaseTable, UndoesWhatABatchGranted) {
  LeaseTable table;
  table.grant(key(1, 1), LeaseKind::read, 1);
  table.keep();
  table.grant(key(1, 1), LeaseKind::write, 2);
  table.grant(key(1, 2), LeaseKind::read, 3);
  std::vector<LeaseKey> undone;
  table.undo([&](LeaseKey each) { undone.push_back(each); });
  EXPECT_EQ(undone, (std::vector{key(1, 2), key(1, 1)}));
  EXPECT_EQ(table.kind(key(1, 1)), LeaseKind::read);
  EXPECT_EQ(table.kind(key(1, 2)), LeaseKind::none);
  EXPECT_EQ(table.count(SessionId{1}), 1u);
}

TEST(LeaseTable, HasNothingLeftOfAnInodeThatIsDropped) {
  LeaseTable table;
  for (const std::uint64_t session : {1, 2, 3})
    table.grant(key(session, 7), LeaseKind::read, session);
  std::set<SessionId> had;
  table.drop(InodeId{7}, [&](SessionId session) { had.insert(session); });
  EXPECT_EQ(had.size(), 3u);
  EXPECT_EQ(table.size(), 0u);
}

TEST(LeaseTable, HasOfASessionThatComesBackWhatItClaims) {
  LeaseTable table;
  table.grant(key(1, 1), LeaseKind::read, 1);
  table.grant(key(1, 2), LeaseKind::write, 2);
  table.grant(key(1, 3), LeaseKind::read, 3);
  table.grant(key(2, 4), LeaseKind::write, 4);
  table.grant(key(2, 5), LeaseKind::read, 5);
  table.keep();
  EXPECT_TRUE(table.claim(key(1, 1), LeaseKind::read, 9));
  EXPECT_TRUE(table.claim(key(1, 2), LeaseKind::read, 9));
  EXPECT_TRUE(table.claim(key(1, 5), LeaseKind::read, 9));
  EXPECT_TRUE(table.claim(key(1, 6), LeaseKind::write, 9));
  EXPECT_FALSE(table.claim(key(1, 4), LeaseKind::read, 9));
  EXPECT_FALSE(table.claim(key(1, 5), LeaseKind::write, 9));
  std::vector<InodeId> dropped;
  table.end_claims(SessionId{1}, [&](InodeId inode) { dropped.push_back(inode); });
  EXPECT_EQ(dropped, std::vector{InodeId{3}});
  EXPECT_EQ(table.kind(key(1, 2)), LeaseKind::read);
  EXPECT_EQ(table.kind(key(1, 6)), LeaseKind::write);
  table.give_back(key(1, 6), LeaseKind::none, 8);
  EXPECT_EQ(table.kind(key(1, 6)), LeaseKind::write) << "granted in another life";
  table.give_back(key(1, 1), LeaseKind::none, 1);
  EXPECT_EQ(table.kind(key(1, 1)), LeaseKind::none);
}

TEST(LeaseTable, ReleasesASessionInParts) {
  LeaseTable table;
  for (std::uint64_t inode = 1; inode <= 10; ++inode)
    table.grant(key(1, inode), LeaseKind::read, inode);
  EXPECT_FALSE(table.release_some(SessionId{1}, 6, kNothing));
  EXPECT_EQ(table.count(SessionId{1}), 4u);
  EXPECT_TRUE(table.release_some(SessionId{1}, 6, kNothing));
  EXPECT_EQ(table.size(), 0u);
}

// The same by the plainest means.
struct Model {
  struct Lease {
    LeaseKind kind;
    std::uint64_t order;
    std::uint64_t used;
  };
  std::map<LeaseKey, Lease> leases;

  LeaseKind elsewhere(LeaseKey of) const {
    LeaseKind most = LeaseKind::none;
    for (const auto& [each, lease] : leases)
      if (each.inode == of.inode && each.session != of.session) most = std::max(most, lease.kind);
    return std::min(most, LeaseKind::write);
  }
  std::vector<InodeId> oldest_first(SessionId session) const {
    std::vector<std::pair<std::uint64_t, InodeId>> found;
    for (const auto& [each, lease] : leases)
      if (each.session == session) found.emplace_back(lease.used, each.inode);
    std::sort(found.begin(), found.end());
    std::vector<InodeId> inodes;
    for (const auto& [used, inode] : found) inodes.push_back(inode);
    return inodes;
  }
};

TEST(LeaseTable, DoesAsAPlainMapDoesWhateverComes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto pick = [&](std::uint64_t most) { return random() % most + 1; };
  LeaseTable table;
  Model model;
  std::uint64_t order = 0;
  for (int step = 0; step < 20'000; ++step) {
    const LeaseKey at = key(pick(4), pick(12));
    const auto had = model.leases.find(at);
    const auto kind = static_cast<LeaseKind>(pick(3));
    switch (pick(10)) {
      case 1:
      case 2:
      case 3:
      case 4: {
        if (model.elsewhere(at) > (is_for_writing(kind) ? LeaseKind::none : LeaseKind::read)) break;
        table.grant(at, kind, ++order);
        model.leases[at] = {kind, order, order};
        break;
      }
      case 5:
      case 6: {
        const LeaseKind keep = pick(2) == 1 ? LeaseKind::none : LeaseKind::read;
        const std::uint64_t by = order - std::min<std::uint64_t>(order, pick(20) - 1);
        table.give_back(at, keep, by);
        if (had == model.leases.end() || had->second.order > by || had->second.kind <= keep) break;
        had->second.kind = keep;
        if (keep == LeaseKind::none) model.leases.erase(had);
        break;
      }
      case 7: {
        table.drop(at.inode, kNothing);
        std::erase_if(model.leases, [&](const auto& each) { return each.first.inode == at.inode; });
        break;
      }
      case 8: {
        if (pick(10) > 1) break;
        table.release_some(at.session, 100, kNothing);
        std::erase_if(model.leases,
                      [&](const auto& each) { return each.first.session == at.session; });
        break;
      }
      default:
        table.keep();
        break;
    }
    for (std::uint64_t session = 1; session <= 4; ++session) {
      ASSERT_EQ(oldest_first(table, session), model.oldest_first(SessionId{session}));
      const LeaseKey seen = key(session, at.inode.value());
      const auto has = model.leases.find(seen);
      ASSERT_EQ(table.kind(seen), has != model.leases.end() ? has->second.kind : LeaseKind::none);
      ASSERT_EQ(table.standing(seen).elsewhere, model.elsewhere(seen));
    }
    ASSERT_EQ(table.size(), model.leases.size());
  }
}

}  // namespace
}  // namespace dfs
