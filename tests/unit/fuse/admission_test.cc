#include "fuse/admission.h"

#include <gtest/gtest.h>

#include <cstring>
#include <future>

#include "fuse/kernel_abi.h"

namespace dfs::fuse {
namespace {

std::vector<std::byte> request(std::uint64_t unique, std::size_t bytes = sizeof(fuse_in_header)) {
  std::vector<std::byte> result(bytes);
  fuse_in_header header{};
  header.unique = unique;
  std::memcpy(result.data(), &header, sizeof header);
  return result;
}

std::uint64_t unique_in(const std::vector<std::byte>& buffer) {
  fuse_in_header header;
  std::memcpy(&header, buffer.data(), sizeof header);
  return header.unique;
}

TEST(Admission, RunsAsManyAsMayBeBusyAndKeepsTheOthersInOrder) {
  Admission admission({.busy_max = 2});
  EXPECT_EQ(admission.admit(request(1)), Admission::Verdict::run);
  EXPECT_EQ(admission.admit(request(2)), Admission::Verdict::run);
  EXPECT_EQ(admission.admit(request(3)), Admission::Verdict::kept);
  EXPECT_EQ(admission.admit(request(4)), Admission::Verdict::kept);
  EXPECT_EQ(admission.busy(), 2u);

  std::vector<std::byte> buffer(4096);
  EXPECT_EQ(admission.done(buffer), sizeof(fuse_in_header));
  EXPECT_EQ(unique_in(buffer), 3u);
  EXPECT_EQ(admission.done(buffer), sizeof(fuse_in_header));
  EXPECT_EQ(unique_in(buffer), 4u);
  EXPECT_EQ(admission.busy(), 2u);
  EXPECT_FALSE(admission.done(buffer));
  EXPECT_FALSE(admission.done(buffer));
  EXPECT_EQ(admission.busy(), 0u);
}

TEST(Admission, GivesBackARequestThatIsNotWantedAnyMore) {
  Admission admission({.busy_max = 1});
  ASSERT_EQ(admission.admit(request(1)), Admission::Verdict::run);
  ASSERT_EQ(admission.admit(request(2)), Admission::Verdict::kept);
  EXPECT_FALSE(admission.withdraw(1));
  EXPECT_TRUE(admission.withdraw(2));
  EXPECT_FALSE(admission.withdraw(2));
  std::vector<std::byte> buffer(4096);
  EXPECT_FALSE(admission.done(buffer));
}

// Whoever brings one request too many gets on once there is room.
void expect_third_waits(Admission& admission, std::size_t bytes) {
  ASSERT_EQ(admission.admit(request(1)), Admission::Verdict::run);
  ASSERT_EQ(admission.admit(request(2, bytes)), Admission::Verdict::kept);
  auto third = std::async(std::launch::async, [&] { return admission.admit(request(3, bytes)); });
  std::vector<std::byte> buffer(4096);
  EXPECT_EQ(admission.done(buffer), bytes);
  EXPECT_EQ(unique_in(buffer), 2u);
  EXPECT_EQ(third.get(), Admission::Verdict::kept);
  EXPECT_EQ(admission.done(buffer), bytes);
  EXPECT_EQ(unique_in(buffer), 3u);
}

TEST(Admission, KeepsNoMoreThanItMay) {
  Admission admission({.busy_max = 1, .kept_max = 1});
  expect_third_waits(admission, sizeof(fuse_in_header));
}

TEST(Admission, KeepsNoMoreBytesThanItMay) {
  Admission admission({.busy_max = 1, .kept_max = 10, .kept_bytes_max = 1500});
  expect_third_waits(admission, 1000);
}

}  // namespace
}  // namespace dfs::fuse
