#include "fuse/cli/local/cluster_state.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "common/base/address.h"
#include "fuse/cli/local/cluster_plan.h"
#include "tests/support/temporary_directory.h"

namespace dfs::cli {
namespace {

std::vector<std::string> names(const ClusterState& state) {
  std::vector<std::string> list;
  for (const ClusterProcess& process : state.processes) list.push_back(process.name);
  return list;
}

TEST(ClusterPlan, NamesEveryProcessAndGivesServersDifferentPorts) {
  const TemporaryDirectory directory;
  ClusterWishes wishes;
  wishes.servers = 2;
  wishes.mounts = {directory.path() / "a", directory.path() / "b"};
  const auto state = plan_cluster(directory.path(), wishes);
  ASSERT_TRUE(state.has_value()) << state.error().to_string();
  EXPECT_EQ(names(*state),
            (std::vector<std::string>{"meta", "storage1", "storage2", "mount1", "mount2"}));
  EXPECT_EQ(state->replicas, 2U);
  std::set<std::string> addresses;
  for (const ClusterProcess& process : state->processes) {
    if (process.role == Role::mount) continue;
    EXPECT_TRUE(addresses.insert(process.address).second);
    EXPECT_EQ(parse_address(process.address)->host, "127.0.0.1");
  }
}

TEST(ClusterPlan, GrowsButNeverShrinksOrChanges) {
  const TemporaryDirectory directory;
  ClusterWishes wishes;
  wishes.servers = 2;
  auto state = plan_cluster(directory.path(), wishes).value();
  const std::string meta = state.meta_address();

  ClusterWishes more;
  more.servers = 3;
  more.mounts = {directory.path() / "a"};
  ASSERT_TRUE(extend_plan(state, more).has_value());
  EXPECT_EQ(names(state),
            (std::vector<std::string>{"meta", "storage1", "storage2", "storage3", "mount1"}));
  EXPECT_EQ(state.meta_address(), meta);

  ClusterWishes fewer;
  fewer.servers = 1;
  EXPECT_EQ(extend_plan(state, fewer).error().code, Errc::invalid);
  ClusterWishes other;
  other.replicas = 3;
  EXPECT_EQ(extend_plan(state, other).error().code, Errc::invalid);
}

TEST(ClusterPlan, RefusesMoreReplicasThanServers) {
  const TemporaryDirectory directory;
  ClusterWishes wishes;
  wishes.servers = 2;
  wishes.replicas = 3;
  EXPECT_EQ(plan_cluster(directory.path(), wishes).error().code, Errc::invalid);
}

TEST(ClusterState, IsReadBackAsItWasWritten) {
  const TemporaryDirectory directory;
  ClusterWishes wishes;
  wishes.servers = 1;
  wishes.mounts = {directory.path() / "with space"};
  wishes.extra = {{"storage", "--reserve=1MiB"}};
  auto state = plan_cluster(directory.path(), wishes).value();
  state.processes[0].process = {.pid = 17, .start_ticks = 99, .boot = "b"};
  state.processes[0].argv = {"dfs-meta", "--data", "x y"};
  ASSERT_TRUE(save_cluster(state).has_value());

  const auto again = load_cluster(directory.path());
  ASSERT_TRUE(again.has_value()) << again.error().to_string();
  EXPECT_EQ(names(*again), names(state));
  EXPECT_EQ(again->processes[0].process, state.processes[0].process);
  EXPECT_EQ(again->processes[0].argv, state.processes[0].argv);
  EXPECT_EQ(again->processes[2].place, directory.path() / "with space");
  EXPECT_EQ(again->extra.at(0).option, "--reserve=1MiB");
}

TEST(ClusterState, IsNotReadFromAFileOfAnotherKind) {
  const TemporaryDirectory directory;
  EXPECT_EQ(load_cluster(directory.path()).error().code, Errc::not_found);
  for (const char* text : {"", "{", "[]", "{}", R"({"kind": "something else"})"}) {
    std::ofstream(state_file(directory.path())) << text;
    EXPECT_EQ(load_cluster(directory.path()).error().code, Errc::corrupt) << text;
  }
}

TEST(SettledPath, HasNoSlashAtTheEndAndNoDots) {
  EXPECT_EQ(settled_path("/usr/./lib/../include/").value(), "/usr/include");
  EXPECT_EQ(settled_path("/").value(), "/");
  EXPECT_EQ(settled_path("").error().code, Errc::invalid);
}

}  // namespace
}  // namespace dfs::cli
