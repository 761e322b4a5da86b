#include "common/client/block_cache.h"

#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include <gtest/gtest.h>

namespace dfs {
namespace {

constexpr ChunkId kChunk{GroupId{1}, 1};

void fill(const FetchPtr& fetch, int value) { std::memset(fetch->into, value, fetch->length); }

TEST(BlockCache, GivesARunInOnePieceAndThenItsBlocks) {
  BlockCache cache(4 * MiB);
  const FetchPtr fetch = cache.claim(kChunk, 0, 1 * MiB);
  ASSERT_NE(fetch, nullptr);
  EXPECT_EQ(fetch->length, 1 * MiB);
  EXPECT_EQ(cache.find(kChunk, 3, kBlockSize).fetch, fetch);
  fill(fetch, 7);
  cache.complete(fetch, {});
  const auto found = cache.find(kChunk, 3, kBlockSize);
  ASSERT_TRUE(found.ready);
  EXPECT_EQ(found.hold.bytes().size(), kBlockSize);
  EXPECT_EQ(found.hold.bytes()[100], std::byte{7});
}

TEST(BlockCache, LetsOnlyOneFetchABlock) {
  BlockCache cache(4 * MiB);
  const FetchPtr first = cache.claim(kChunk, 4 * kBlockSize, 2 * kBlockSize);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(cache.claim(kChunk, 4 * kBlockSize, kBlockSize), nullptr);
  // A longer run ends where somebody else's begins.
  const FetchPtr before = cache.claim(kChunk, 0, 8 * kBlockSize);
  ASSERT_NE(before, nullptr);
  EXPECT_EQ(before->length, 4 * kBlockSize);
  cache.complete(first, {});
  cache.complete(before, {});
}

TEST(BlockCache, ForgetsWhatCouldNotBeFetched) {
  BlockCache cache(4 * MiB);
  const FetchPtr fetch = cache.claim(kChunk, 0, kBlockSize);
  cache.complete(fetch, fail(Errc::unavailable));
  const auto found = cache.find(kChunk, 0, 1);
  EXPECT_FALSE(found.ready);
  EXPECT_EQ(found.fetch, nullptr);
  EXPECT_NE(cache.claim(kChunk, 0, kBlockSize), nullptr);
}

TEST(BlockCache, FetchesALongerBlockWhenTheCachedOneIsTooShort) {
  BlockCache cache(4 * MiB);
  const FetchPtr part = cache.claim(kChunk, 0, 1000);
  cache.complete(part, {});
  EXPECT_TRUE(cache.find(kChunk, 0, 1000).ready);
  EXPECT_FALSE(cache.find(kChunk, 0, 1001).ready);
  const FetchPtr more = cache.claim(kChunk, 0, 5000);
  ASSERT_NE(more, nullptr);
  cache.complete(more, {});
  EXPECT_TRUE(cache.find(kChunk, 0, 5000).ready);
}

TEST(BlockCache, StaysWithinItsMemoryAndForgetsTheOldest) {
  BlockCache cache(4 * MiB);
  for (std::uint64_t i = 1; i <= 100; ++i) {
    const FetchPtr fetch = cache.claim(ChunkId{GroupId{1}, i}, 0, 1 * MiB);
    ASSERT_NE(fetch, nullptr) << i;
    cache.complete(fetch, {});
  }
  std::size_t ready = 0;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    if (cache.find(ChunkId{GroupId{1}, i}, 0, 1).ready) ++ready;
  }
  EXPECT_LE(ready, 4U);
  EXPECT_TRUE(cache.find(ChunkId{GroupId{1}, 100}, 0, 1).ready);
}

TEST(BlockCache, KeepsWhatIsReadAtRandomWhileALongFileStreamsBy) {
  BlockCache cache(96 * MiB);
  const ChunkId random{GroupId{2}, 1};
  for (std::uint32_t block = 0; block < 80; block += 2) {
    const FetchPtr fetch = cache.claim(random, block * kBlockSize, kBlockSize);
    ASSERT_NE(fetch, nullptr);
    cache.complete(fetch, {});
  }
  for (std::uint64_t serial = 1; serial <= 1000; ++serial) {
    const FetchPtr run = cache.claim(ChunkId{GroupId{1}, serial}, 0, 1 * MiB);
    ASSERT_NE(run, nullptr) << "of chunk " << serial;
    cache.complete(run, {});
    EXPECT_TRUE(cache.find(ChunkId{GroupId{1}, serial}, 0, kBlockSize).ready);
  }
  for (std::uint32_t block = 0; block < 80; block += 2)
    EXPECT_TRUE(cache.find(random, block, kBlockSize).ready) << "block " << block;
}

TEST(BlockCache, NeverReusesMemoryThatSomebodyHolds) {
  BlockCache cache(4 * MiB);
  std::vector<BlockCache::Hold> holds;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    const FetchPtr fetch = cache.claim(ChunkId{GroupId{1}, i}, 0, 1 * MiB);
    ASSERT_NE(fetch, nullptr);
    fill(fetch, static_cast<int>(i));
    cache.complete(fetch, {});
    holds.push_back(cache.find(ChunkId{GroupId{1}, i}, 0, 1).hold);
  }
  EXPECT_EQ(cache.claim(ChunkId{GroupId{1}, 9}, 0, 1 * MiB), nullptr);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(holds[i].bytes()[0], static_cast<std::byte>(i + 1));
  }
  holds.clear();
  EXPECT_NE(cache.claim(ChunkId{GroupId{1}, 9}, 0, 1 * MiB), nullptr);
}

TEST(BlockCache, PacksSmallChunks) {
  BlockCache cache(4 * MiB);
  for (std::uint64_t i = 1; i <= 500; ++i) {
    const FetchPtr fetch = cache.claim(ChunkId{GroupId{1}, i}, 0, 4000);
    ASSERT_NE(fetch, nullptr);
    cache.complete(fetch, {});
  }
  std::size_t ready = 0;
  for (std::uint64_t i = 1; i <= 500; ++i) {
    if (cache.find(ChunkId{GroupId{1}, i}, 0, 4000).ready) ++ready;
  }
  EXPECT_EQ(ready, 500U);
}

// Each block holds its own key; whoever finds it checks that.
TEST(BlockCache, NeverShowsOneChunksBytesAsAnothersUnderThreads) {
  BlockCache cache(4 * MiB);
  std::atomic<int> wrong{0};
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 20000; ++i) {
      const ChunkId chunk{GroupId{1}, 1 + random() % 40};
      const std::uint32_t block = random() % 8;
      const auto value = static_cast<int>((chunk.serial() * 8 + block) % 251);
      const auto found = cache.find(chunk, block, kBlockSize);
      if (found.ready) {
        const BufferView bytes = found.hold.bytes();
        if (bytes[0] != static_cast<std::byte>(value) ||
            bytes[kBlockSize - 1] != static_cast<std::byte>(value)) {
          ++wrong;
        }
      } else if (found.fetch == nullptr) {
        const FetchPtr fetch = cache.claim(chunk, block * kBlockSize, kBlockSize);
        if (fetch == nullptr) continue;
        fill(fetch, value);
        cache.complete(fetch, random() % 10 == 0 ? Result<void>(fail(Errc::io)) : Result<void>());
      }
    }
  };
  std::thread a(work, 1);
  std::thread b(work, 2);
  std::thread c(work, 3);
  a.join();
  b.join();
  c.join();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace dfs
