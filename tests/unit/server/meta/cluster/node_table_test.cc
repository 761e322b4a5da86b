#include "server/meta/cluster/node_table.h"

#include <chrono>

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

ServerInfo server(std::uint32_t id) {
  ServerInfo info;
  info.server = ServerId{id};
  info.address = "127.0.0.1:7400";
  return info;
}

TEST(NodeTable, DeclaresANodeDeadAfterTheLongestAllowedSilence) {
  FakeClock clock;
  NodeTable nodes(clock, {.silence_max = 30s});
  nodes.put(server(7), "a");

  clock.advance(30s);
  EXPECT_FALSE(nodes.expire());
  EXPECT_TRUE(nodes.is_alive(ServerId{7}));

  clock.advance(1ns);
  EXPECT_TRUE(nodes.expire());
  EXPECT_FALSE(nodes.is_alive(ServerId{7}));
  EXPECT_FALSE(nodes.expire()) << "it is news only once";
}

TEST(NodeTable, AHeartbeatBringsADeadNodeBack) {
  FakeClock clock;
  NodeTable nodes(clock, {.silence_max = 30s});
  nodes.put(server(7), "a");
  clock.advance(31s);
  nodes.expire();

  EXPECT_TRUE(nodes.heard_from(ServerId{7}, {.capacity = 10, .available = 5}));
  EXPECT_TRUE(nodes.is_alive(ServerId{7}));
  EXPECT_EQ(nodes.find(ServerId{7})->info.available, 5u);
  EXPECT_FALSE(nodes.heard_from(ServerId{7}, {}));
}

TEST(NodeTable, AChangeOfTheCalendarKillsNobody) {
  FakeClock clock;
  NodeTable nodes(clock, {.silence_max = 30s});
  nodes.put(server(7), "a");
  clock.jump_wall(24h);
  EXPECT_FALSE(nodes.expire());
}

TEST(NodeTable, FindsANodeByItsIdentity) {
  FakeClock clock;
  NodeTable nodes(clock, {});
  nodes.put(server(7), "a");
  ASSERT_NE(nodes.find_identity("a"), nullptr);
  EXPECT_EQ(nodes.find_identity("a")->info.server, ServerId{7});
  EXPECT_EQ(nodes.find_identity("b"), nullptr);
}

}  // namespace
}  // namespace dfs
