#include "common/client/range_map.h"

#include <random>

#include <gtest/gtest.h>

namespace dfs {
namespace {

using Map = RangeMap<int>;
constexpr std::size_t kSpace = 64;

// One source and source offset for every byte: what RangeMap abbreviates.
struct NaiveMap {
  struct Byte {
    int source = 0;  // 0: nothing
    std::uint64_t at = 0;
  };
  Byte bytes[kSpace];

  void insert(const Map::Range& range) {
    for (std::uint64_t i = 0; i < range.length; ++i) {
      bytes[range.offset + i] = {range.source, range.source_offset + i};
    }
  }
  std::uint64_t erase(std::uint64_t offset, std::uint64_t length) {
    std::uint64_t gone = 0;
    for (std::uint64_t i = offset; i < offset + length; ++i) {
      if (bytes[i].source != 0) ++gone;
      bytes[i] = {};
    }
    return gone;
  }
  std::uint64_t erase_same(const Map::Range& range) {
    std::uint64_t gone = 0;
    for (std::uint64_t i = 0; i < range.length; ++i) {
      Byte& byte = bytes[range.offset + i];
      if (byte.source != range.source || byte.at != range.source_offset + i) continue;
      byte = {};
      ++gone;
    }
    return gone;
  }
};

void expect_equal(const Map& map, const NaiveMap& naive) {
  NaiveMap seen;
  std::uint64_t bytes = 0;
  std::uint64_t last_end = 0;
  map.visit(0, kSpace, [&](const Map::Range& range) {
    EXPECT_GE(range.offset, last_end);
    last_end = range.end();
    bytes += range.length;
    seen.insert(range);
  });
  EXPECT_EQ(map.bytes(), bytes);
  EXPECT_EQ(map.end_offset(), last_end);
  for (std::size_t i = 0; i < kSpace; ++i) {
    ASSERT_EQ(seen.bytes[i].source, naive.bytes[i].source) << "byte " << i;
    if (naive.bytes[i].source == 0) continue;
    ASSERT_EQ(seen.bytes[i].at, naive.bytes[i].at) << "byte " << i;
  }
}

TEST(RangeMap, AgreesWithAByteByByteMapUnderRandomChanges) {
  const unsigned seed = 20240611;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::uint64_t n) { return random() % n; };
  for (int run = 0; run < 200; ++run) {
    Map map;
    NaiveMap naive;
    for (int step = 0; step < 60; ++step) {
      const std::uint64_t offset = below(kSpace);
      const std::uint64_t length = 1 + below(kSpace - offset);
      std::uint64_t dropped = 0;
      const auto count = [&](const Map::Range& range) { dropped += range.length; };
      const Map::Range range{offset, length, static_cast<int>(1 + below(3)), offset + below(2)};
      switch (below(3)) {
        case 0: {
          NaiveMap before = naive;
          map.insert(range, count);
          EXPECT_EQ(dropped, before.erase(offset, length));
          naive.insert(range);
          break;
        }
        case 1:
          map.erase(offset, length, count);
          EXPECT_EQ(dropped, naive.erase(offset, length));
          break;
        default:
          map.erase_same(range, count);
          EXPECT_EQ(dropped, naive.erase_same(range));
      }
      ASSERT_NO_FATAL_FAILURE(expect_equal(map, naive));
    }
  }
}

TEST(RangeMap, JoinsRangesThatContinueEachOther) {
  Map map;
  const auto ignore = [](const Map::Range&) {};
  map.insert({0, 10, 1, 100}, ignore);
  map.insert({20, 10, 1, 120}, ignore);
  map.insert({10, 10, 1, 110}, ignore);
  EXPECT_EQ(map.size(), 1U);
  map.insert({30, 5, 1, 200}, ignore);  // next in the file, elsewhere in its source
  EXPECT_EQ(map.size(), 2U);
}

TEST(RangeMap, TellsWhetherARangeTouchesAnything) {
  Map map;
  map.insert({10, 5, 1, 0}, [](const Map::Range&) {});
  EXPECT_FALSE(map.overlaps(0, 10));
  EXPECT_TRUE(map.overlaps(0, 11));
  EXPECT_TRUE(map.overlaps(14, 1));
  EXPECT_FALSE(map.overlaps(15, 100));
}

TEST(RangeMap, GivesTheNextRangeFromAnOffsetOn) {
  Map map;
  EXPECT_FALSE(map.next(0));
  map.insert({10, 5, 1, 100}, [](const Map::Range&) {});
  map.insert({20, 5, 2, 0}, [](const Map::Range&) {});
  EXPECT_EQ(map.next(0), (Map::Range{10, 5, 1, 100}));
  EXPECT_EQ(map.next(12), (Map::Range{12, 3, 1, 102}));
  EXPECT_EQ(map.next(15), (Map::Range{20, 5, 2, 0}));
  EXPECT_FALSE(map.next(25));
}

}  // namespace
}  // namespace dfs
