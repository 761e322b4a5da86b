// Grants and recalls that arrive in any order, against a model of the server.
#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/client/lease_gate.h"
#include "tests/support/fake_clock.h"

namespace dfs {
namespace {

constexpr std::chrono::milliseconds kLeaseTime{20'000};

// A server as this session sees it. What it says is on its way for any time, and
// arrives in any order.
class Model {
 public:
  explicit Model(LeaseGate& gate, unsigned seed) : gate_(gate), random_(seed) {}

  void step() {
    switch (pick(9)) {
      case 0:
      case 1: return grant(any_inode());
      case 2: return recall(any_inode());
      case 3:
      case 4:
      case 5: return deliver();
      case 6:
      case 7: return settle(any_inode());
      default:
        if (pick(8) == 0) reconnect();
    }
  }
  void check() const {
    for (std::uint64_t i = 0; i < kInodes; ++i) {
      const InodeId inode{i};
      const Server& server = servers_[i];
      for (const std::uint64_t order : server.told) {
        if (!gate_.holds(inode, order)) continue;
        EXPECT_NE(server.kind, LeaseKind::none) << "inode " << i << ", told by " << order;
        EXPECT_LE(server.since, order) << "inode " << i;
      }
      if (gate_.may_write(inode)) {
        EXPECT_EQ(server.kind, LeaseKind::write) << "inode " << i;
      }
    }
  }
  // How often anything could be used, and written: else this checks nothing.
  bool uses_something() const {
    for (std::uint64_t i = 0; i < kInodes; ++i)
      if (gate_.since(InodeId{i}) > 0) return true;
    return false;
  }

 private:
  static constexpr std::uint64_t kInodes = 4;
  struct Server {
    LeaseKind kind = LeaseKind::none;
    std::uint64_t since = 0;
    std::uint64_t latest = 0;
    std::uint64_t recall = 0;  // not answered; 0: none
    LeaseKind keep = LeaseKind::none;
    std::vector<std::uint64_t> told;
  };
  struct Message {
    bool is_recall = false;
    InodeId inode;
    LeaseKind kind = LeaseKind::none;  // granted, or what may be kept
    std::uint64_t order = 0;
  };

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  InodeId any_inode() { return InodeId{pick(kInodes)}; }

  void grant(InodeId inode) {
    Server& server = servers_[inode.value()];
    if (server.recall != 0) return;
    const LeaseKind wish = pick(2) == 0 ? LeaseKind::read : LeaseKind::write;
    server.latest = ++order_;
    if (server.kind == LeaseKind::none) server.since = order_;
    server.kind = std::max(server.kind, wish);
    server.told.push_back(order_);
    on_their_way_.push_back({false, inode, server.kind, order_});
  }
  void recall(InodeId inode) {
    Server& server = servers_[inode.value()];
    const LeaseKind keep = pick(2) == 0 ? LeaseKind::none : LeaseKind::read;
    if (server.kind <= keep || (server.recall != 0 && server.keep <= keep)) return;
    server.recall = ++order_;
    server.keep = keep;
    on_their_way_.push_back({true, inode, keep, order_});
  }
  void deliver() {
    if (on_their_way_.empty()) return;
    const std::size_t at = pick(on_their_way_.size());
    const Message message = on_their_way_[at];
    on_their_way_.erase(on_their_way_.begin() + static_cast<std::ptrdiff_t>(at));
    if (!message.is_recall) return gate_.granted(message.inode, message.kind, message.order);
    const auto begun = gate_.recall({message.inode, message.kind}, message.order);
    if (begun == LeaseGate::Recalled::absent)
      take({message.inode, LeaseKind::none, message.order, 0});
    if (begun == LeaseGate::Recalled::begun) settling_.insert(message.inode);
  }
  void settle(InodeId inode) {
    if (!settling_.contains(inode)) return;
    const auto answer = gate_.settled(inode, gate_.leaves(inode));
    ASSERT_TRUE(answer);
    settling_.erase(inode);
    take(*answer);
  }
  void take(const ReturnedLease& answer) {
    Server& server = servers_[answer.inode.value()];
    if (server.latest <= answer.order) server.kind = std::min(server.kind, answer.keep);
    if (server.recall <= answer.order) server.recall = 0;
  }
  // Recalls of the former connection have all been looked at; answers not.
  void reconnect() {
    while (std::any_of(on_their_way_.begin(), on_their_way_.end(),
                       [](const Message& message) { return message.is_recall; }))
      deliver();
    const LeaseClaims claims = gate_.claims();
    for (std::uint64_t late = pick(4); late > 0; --late) deliver();
    for (const InodeId inode : settling_) servers_[inode.value()].recall = 0;
    LeaseTerms terms{.order = order_, .lost = {}, .lease_time = kLeaseTime};
    for (std::uint64_t i = 0; i < kInodes; ++i) {
      const InodeId inode{i};
      Server& server = servers_[i];
      const bool reads = std::count(claims.read.begin(), claims.read.end(), inode) > 0;
      const bool writes = std::count(claims.write.begin(), claims.write.end(), inode) > 0;
      const LeaseKind claimed = writes ? LeaseKind::write : reads ? LeaseKind::read : LeaseKind::none;
      EXPECT_LE(claimed, server.kind) << "the server has at least what the session believes";
      server.kind = claimed;
      server.recall = 0;
      if (claimed != LeaseKind::none && pick(3) == 0) {
        server.kind = LeaseKind::none;
        terms.lost.push_back(inode);
      }
    }
    gate_.welcomed(terms);
    // What was being settled goes on, and is asked for again where it is still there.
    for (const InodeId inode : settling_) {
      Server& server = servers_[inode.value()];
      if (server.kind == LeaseKind::none) continue;
      server.recall = ++order_;
      server.keep = LeaseKind::none;
      on_their_way_.push_back({true, inode, LeaseKind::none, order_});
    }
  }

  LeaseGate& gate_;
  std::mt19937 random_;
  std::uint64_t order_ = 0;
  Server servers_[kInodes];
  std::vector<Message> on_their_way_;
  std::set<InodeId> settling_;
};

TEST(LeaseGateRandom, NeverHoldsWhatTheServerHasTakenBack) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const FakeClock clock;
    LeaseGate gate(clock);
    gate.welcomed({.order = 0, .lost = {}, .lease_time = kLeaseTime});
    gate.confirmed(clock.now());
    Model model(gate, seed);
    std::size_t useful = 0;
    for (int step = 0; step < 500; ++step) {
      model.step();
      model.check();
      if (model.uses_something()) ++useful;
      if (::testing::Test::HasFailure()) return;
    }
    EXPECT_GT(useful, 50U);
  }
}

}  // namespace
}  // namespace dfs
