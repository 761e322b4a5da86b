#include "fuse/cli/local/local_cluster.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace dfs::cli {
namespace {

void say_nothing(const std::string&) {}

ClusterWishes one_server() {
  ClusterWishes wishes;
  wishes.servers = 1;
  return wishes;
}

TEST(LocalCluster, IsNotMadeAmongOtherThings) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "precious") << "data";
  const auto cluster = LocalCluster::create(directory.path(), one_server(), say_nothing);
  ASSERT_FALSE(cluster.has_value());
  EXPECT_EQ(cluster.error().code, Errc::invalid);
  EXPECT_FALSE(std::filesystem::exists(directory.path() / "cluster.json"));
}

TEST(LocalCluster, UsesADataDirectoryThatWasPrepared) {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory.path() / "storage1");
  EXPECT_TRUE(LocalCluster::create(directory.path(), one_server(), say_nothing).has_value());
}

TEST(LocalCluster, IsOpenedByOneCommandAtATime) {
  const TemporaryDirectory directory;
  const auto cluster = LocalCluster::create(directory.path(), one_server(), say_nothing);
  ASSERT_TRUE(cluster.has_value());
  EXPECT_EQ(LocalCluster::open(directory.path(), say_nothing).error().code, Errc::busy);
}

TEST(LocalCluster, IsWipedWithoutTouchingWhatIsNotItsOwn) {
  const TemporaryDirectory directory;
  const auto place = directory.path() / "cluster";
  {
    auto cluster = LocalCluster::create(place, one_server(), say_nothing);
    ASSERT_TRUE(cluster.has_value());
    std::filesystem::create_directories(place / "storage1" / "segments");
    std::ofstream(place / "notes") << "mine";
    ASSERT_TRUE(cluster->wipe().has_value());
  }
  EXPECT_FALSE(std::filesystem::exists(place / "storage1"));
  EXPECT_FALSE(std::filesystem::exists(place / "cluster.json"));
  EXPECT_TRUE(std::filesystem::exists(place / "notes"));
}

TEST(LocalCluster, NamesItsProcessesWhenAskedForAnother) {
  const TemporaryDirectory directory;
  auto cluster = LocalCluster::create(directory.path(), one_server(), say_nothing);
  ASSERT_TRUE(cluster.has_value());
  const auto stopped = cluster->stop("storage9", std::chrono::seconds(1));
  ASSERT_FALSE(stopped.has_value());
  EXPECT_EQ(stopped.error().code, Errc::not_found);
  EXPECT_NE(stopped.error().text.find("meta, storage1"), std::string::npos);
}

}  // namespace
}  // namespace dfs::cli
