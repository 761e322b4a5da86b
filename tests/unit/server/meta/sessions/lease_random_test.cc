// Sessions that do whatever comes into their heads, hear of it late and out of
// order, break off and come back, over a server that starts again now and then:
// what a session believes on account of a lease is true at every moment.
#include <algorithm>
#include <array>
#include <random>

#include "tests/unit/server/meta/core/lease_fixture.h"

namespace dfs {
namespace {

// The one thing that is written and read of a file is its mtime.
class LeaseRandom : public LeaseCoreTest, public ::testing::WithParamInterface<unsigned> {
 protected:
  struct Belief {
    LeaseKind kind = LeaseKind::none;
    std::uint64_t order = 0;
    WallNanos value = 0;
    bool dirty = false;  // written here, and nobody was told
  };
  struct Player {
    Client client;
    bool connected = true;
    std::map<InodeId, Belief> beliefs;
    std::map<InodeId, std::uint64_t> voided;   // grants up to this one
    std::map<InodeId, std::uint64_t> changes;  // the latest that was seen
    std::vector<CoreRequest> asked;           // whose answers have not been looked at
    std::vector<LeaseRecall> recalls;         // nor these
  };

  std::uint64_t pick(std::uint64_t most) { return random() % most; }
  template <typename T>
  T& one_of(T* first, std::size_t count) {
    return first[pick(count)];
  }

  void say(Player& player, MetaArgs args) {
    player.asked.push_back(request(player.client, std::move(args)));
    submit(player.client, {player.asked.back()});
  }
  static std::optional<InodeId> written_by(const CoreRequest& request) {
    const auto* args = std::get_if<SetAttrArgs>(&request.args);
    return args != nullptr ? std::optional(args->inode) : std::nullopt;
  }
  bool writes(const Player& player, InodeId inode) {
    return std::any_of(player.asked.begin(), player.asked.end(),
                       [&](const CoreRequest& each) { return written_by(each) == inode; });
  }

  void act(Player& player) {
    const InodeId inode = one_of(files.data(), files.size());
    Belief& belief = player.beliefs[inode];
    if (writes(player, inode)) return;
    switch (pick(6)) {
      case 0:
      case 1:
        return say(player, GetAttrArgs{inode});
      case 2:
        belief = {};
        return say(player, SetAttrArgs{.inode = inode, .mtime = ++last_value});
      case 3:
        return say(player, AcquireLeaseArgs{inode, LeaseKind::read});
      case 4:
        return say(player, AcquireLeaseArgs{inode, LeaseKind::write});
      default:
        if (belief.kind != LeaseKind::write) return;
        belief.value = ++last_value;
        belief.dirty = true;
    }
  }

  void take_lease(Player& player, const Attributes& told, std::uint64_t order) {
    Belief& belief = player.beliefs[told.inode];
    std::uint64_t& change = player.changes[told.inode];
    // What the session itself has changed since makes nobody ask for a lease back.
    if (told.change < change) return;
    change = told.change;
    if (told.lease == LeaseKind::none || order <= player.voided[told.inode]) return;
    if (order < belief.order || belief.dirty) return;
    belief = {told.lease, order, told.mtime, false};
  }
  void look_at_an_answer(Player& player) {
    const std::size_t at = pick(player.asked.size());
    const CoreRequest request = player.asked[at];
    if (!player.client.sink->has(request.id)) return;
    const auto answer = player.client.sink->wait_for(request.id);
    ASSERT_TRUE(answer) << answer.error().to_string();
    player.asked.erase(player.asked.begin() + static_cast<std::ptrdiff_t>(at));
    const Attributes& told = std::get<AttributesResult>(*answer).attributes;
    if (!writes(player, told.inode))
      take_lease(player, told, player.client.sink->order_of(request.id));
  }
  void answer_a_recall(Player& player) {
    for (const LeaseRecall& recall : player.client.sink->take_recalls())
      player.recalls.push_back(recall);
    if (player.recalls.empty()) return;
    const auto at = player.recalls.begin() + static_cast<std::ptrdiff_t>(pick(player.recalls.size()));
    const LeaseRecall recall = *at;
    player.recalls.erase(at);
    ReturnLeasesArgs returned;
    for (const RecalledLease& lease : recall.leases) {
      Belief& belief = player.beliefs[lease.inode];
      player.voided[lease.inode] = std::max(player.voided[lease.inode], recall.order);
      LeaseKind keep = LeaseKind::none;
      if (belief.dirty) {
        // What waits behind the recall must see it, so it goes first.
        const auto flushed = get<AttributesResult>(
            player.client, SetAttrArgs{.inode = lease.inode, .mtime = belief.value});
        player.changes[lease.inode] = flushed.attributes.change;
        belief = {};
      } else if (belief.order < recall.order && !writes(player, lease.inode)) {
        keep = std::min(belief.kind, lease.keep);
        if (keep == LeaseKind::none) belief = {};
        belief.kind = keep;
      }
      returned.leases.push_back({lease.inode, keep, recall.order, 0});
    }
    get<EmptyResult>(player.client, std::move(returned));
  }

  void break_off(Player& player) {
    disconnect(player.client);
    player.connected = false;
  }
  void come_back(Player& player) {
    LeaseClaims claims;
    for (auto& [inode, belief] : player.beliefs) {
      if (belief.kind == LeaseKind::read) claims.read.push_back(inode);
      if (is_for_writing(belief.kind)) claims.write.push_back(inode);
    }
    come(player.client, claims);
    ASSERT_TRUE(player.client.welcome.resumed);
    ASSERT_TRUE(player.client.welcome.leases.lost.empty());
    player.connected = true;
    player.recalls.clear();
    for (const InodeId inode : files) player.voided[inode] = player.client.welcome.leases.order;
    // Questions are asked again if anybody cares; changes are repeated.
    std::erase_if(player.asked, [](const CoreRequest& each) { return !written_by(each); });
    for (CoreRequest& each : player.asked) {
      each.id = player.client.next_id++;
      submit(player.client, {each});
    }
  }

  void check() {
    for (const InodeId inode : files) {
      std::string raw;
      raw_key<tables::Inodes>(raw, inode);
      InodeRecord record;
      ASSERT_TRUE(decode(*store.get(raw).value(), record));
      int believers = 0;
      int writers = 0;
      for (Player& player : players) {
        const Belief& belief = player.beliefs[inode];
        if (belief.kind == LeaseKind::none) continue;
        ++believers;
        writers += is_for_writing(belief.kind) ? 1 : 0;
        if (belief.dirty || writes(player, inode)) continue;
        ASSERT_EQ(belief.value, record.mtime)
            << "session " << player.client.welcome.session.value() << ", inode " << inode.value();
      }
      ASSERT_TRUE(writers == 0 || believers == 1) << "inode " << inode.value();
    }
  }

  void step() {
    Player& player = one_of(players.data(), players.size());
    if (pick(400) == 0) {
      restart();
      for (Player& each : players) each.connected = false;
      return;
    }
    if (!player.connected) return come_back(player);
    if (pick(60) == 0) return break_off(player);
    switch (pick(3)) {
      case 0:
        return act(player);
      case 1:
        if (!player.asked.empty()) look_at_an_answer(player);
        return;
      default:
        return answer_a_recall(player);
    }
  }

  std::mt19937 random{GetParam()};
  std::array<Player, 3> players;
  std::vector<InodeId> files;
  WallNanos last_value = 0;
};

TEST_P(LeaseRandom, IsTrueWhateverHappens) {
  Client maker = connect();
  for (const char* name : {"a", "b", "c"}) files.push_back(make_file(maker, name).inode);
  for (Player& player : players) player.client = connect_for_leases();
  for (int i = 0; i < 5'000 && !HasFatalFailure(); ++i) {
    step();
    check();
  }
  // Nobody waits for ever.
  for (int i = 0; i < 1'000 && !HasFatalFailure(); ++i) {
    for (Player& player : players) {
      if (!player.connected) come_back(player);
      answer_a_recall(player);
      if (!player.asked.empty()) look_at_an_answer(player);
    }
    check();
  }
  for (const Player& player : players) EXPECT_TRUE(player.asked.empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, LeaseRandom,
                         ::testing::Values(1u, 2u, 2342152049u, std::random_device{}()));

}  // namespace
}  // namespace dfs
