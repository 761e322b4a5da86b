#include "common/base/lasting_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace dfs {
namespace {

// What another process sees that was given the descriptor.
LastingMemory again(const LastingMemory& memory) {
  auto opened = LastingMemory::open(UniqueFd(::dup(memory.descriptor())));
  EXPECT_TRUE(opened) << opened.error().to_string();
  return *std::move(opened);
}

TEST(LastingMemory, HasEachPartAsItWasLeft) {
  LastingMemory memory = LastingMemory::create().value();
  const auto numbers = memory.part("numbers", 1, 10'000);
  const auto letters = memory.part("letters", 3, 5);
  ASSERT_TRUE(numbers && letters);
  EXPECT_TRUE(numbers->is_new);
  EXPECT_EQ(numbers->bytes[9'999], std::byte{0});
  numbers->bytes[9'999] = std::byte{7};
  letters->bytes[0] = std::byte{'a'};

  LastingMemory next = again(memory);
  const auto same = next.part("numbers", 1, 10'000);
  ASSERT_TRUE(same);
  EXPECT_FALSE(same->is_new);
  EXPECT_EQ(same->bytes[9'999], std::byte{7});
  EXPECT_EQ(next.part("letters", 3, 5)->bytes[0], std::byte{'a'});
  EXPECT_TRUE(next.part("more", 1, 1)->is_new);
}

TEST(LastingMemory, ShowsNoPartOfAnotherLayoutOrSize) {
  LastingMemory memory = LastingMemory::create().value();
  ASSERT_TRUE(memory.part("numbers", 1, 100));
  LastingMemory next = again(memory);
  EXPECT_EQ(next.part("numbers", 2, 100).error().code, Errc::wrong_version);
  EXPECT_EQ(next.part("numbers", 1, 101).error().code, Errc::wrong_version);
}

TEST(LastingMemory, IsNotMadeOfOtherFiles) {
  UniqueFd file(::memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 100'000), 0);
  EXPECT_EQ(LastingMemory::open(std::move(file)).error().code, Errc::bad_message);
}

}  // namespace
}  // namespace dfs
