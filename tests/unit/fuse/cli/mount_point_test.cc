#include "fuse/cli/local/mount_point.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace dfs::cli {
namespace {

TEST(MountPoint, IsLeftAloneWhereNothingIsMounted) {
  const TemporaryDirectory directory;
  EXPECT_TRUE(detach_dead_mount(directory.path()).has_value());
}

TEST(MountPoint, LeavesOtherFileSystemsMounted) {
  EXPECT_EQ(detach_dead_mount("/proc").error().code, Errc::busy);
}

}  // namespace
}  // namespace dfs::cli
