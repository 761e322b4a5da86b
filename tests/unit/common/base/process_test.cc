#include "common/base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <set>

#include "common/base/random.h"
#include "common/base/unique_fd.h"

namespace dfs {
namespace {

TEST(AnnounceReady, WritesOneWordAndCloses) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  ASSERT_TRUE(announce_ready(ends[1]));
  char text[16];
  ASSERT_EQ(::read(reader.get(), text, sizeof text), 6);
  EXPECT_EQ(std::string_view(text, 6), "ready\n");
  EXPECT_EQ(::read(reader.get(), text, sizeof text), 0);  // the writing end is closed
}

TEST(AnnounceReady, IsSilentIfNobodyAsked) { EXPECT_TRUE(announce_ready(-1)); }

TEST(AnnounceReady, NamesADescriptorThatIsNotOpen) {
  const auto announced = announce_ready(1 << 19);
  ASSERT_FALSE(announced);
  EXPECT_EQ(announced.error().code, Errc::bad_descriptor);
}

TEST(DescriptorLimit, IsRaisedAsFarAsAllowed) {
  ASSERT_TRUE(raise_descriptor_limit());
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

TEST(Machine, HasANameAndABootId) {
  EXPECT_EQ(machine_id().size(), 36u);
  EXPECT_EQ(machine_id(), machine_id());
  EXPECT_FALSE(host_name().empty());
  EXPECT_FALSE(version().empty());
}

TEST(Random, IdsAreHexAndDoNotRepeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = random_hex(16);
    ASSERT_EQ(id.size(), 32u);
    ASSERT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
    ASSERT_TRUE(seen.insert(id).second);
  }
  EXPECT_NE(random_number(), random_number());
  EXPECT_EQ(random_hex(0), "");
}

}  // namespace
}  // namespace dfs
