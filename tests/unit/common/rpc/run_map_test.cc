#include "common/rpc/run_map.h"

#include <gtest/gtest.h>

#include "common/base/ids.h"
#include "common/rpc/chunk_inventory.h"

namespace dfs {
namespace {

const std::vector<FileRun> kRuns{{700, 10}, {kNowhere, 5}, {0, 20}, {1ull << 40, 1}};

TEST(RunMap, IsReadBackFromTheEndOfItsChunk) {
  const std::vector<std::byte> map = encode_run_map(kRuns);
  EXPECT_EQ(map.size(), run_map_bytes(4));
  std::vector<std::byte> chunk(36);
  chunk.insert(chunk.end(), map.begin(), map.end());
  EXPECT_EQ(decode_run_map(chunk, static_cast<std::uint32_t>(chunk.size())), kRuns);
  EXPECT_EQ(decode_run_map(map, static_cast<std::uint32_t>(chunk.size())), kRuns);
}

TEST(RunMap, IsNotTakenFromAnythingElse) {
  std::vector<std::byte> map = encode_run_map(kRuns);
  const auto length = static_cast<std::uint32_t>(36 + map.size());
  for (std::size_t at = 0; at < map.size(); ++at) {
    map[at] ^= std::byte{1};
    EXPECT_FALSE(decode_run_map(map, length)) << at;
    map[at] ^= std::byte{1};
  }
  EXPECT_FALSE(decode_run_map({}, length));
  EXPECT_FALSE(decode_run_map(BufferView(map).last(20), length));
  EXPECT_FALSE(decode_run_map(map, length - 1)) << "the chunk is shorter than its runs";
  EXPECT_FALSE(decode_run_map(map, length + kBlockSize)) << "and this one longer";
  EXPECT_FALSE(decode_run_map(std::vector<std::byte>(100), 100));
}

TEST(RunMap, FitsIntoOneBlockHoweverManyRunsThereAre) {
  const std::vector<FileRun> many(kRunsPerChunkMax, {5, 1});
  const std::vector<std::byte> map = encode_run_map(many);
  EXPECT_LE(map.size(), kBlockSize);
  EXPECT_EQ(decode_run_map(map, static_cast<std::uint32_t>(many.size() + map.size())), many);
}

TEST(ChunkInventory, RowsAreReadBack) {
  InventoryRow row{.chunk = ChunkId{GroupId{7}, 9}, .length = 100, .inode = InodeId{5},
                   .file_offset = 700, .written = 1'700'000'000'000'000'000,
                   .kind = InventoryRow::Kind::one_run, .runs = {}};
  std::string key;
  std::string value;
  InventoryRow back;
  encode(row, key, value);
  ASSERT_TRUE(decode(key, value, back));
  EXPECT_EQ(back, row);
  row.kind = InventoryRow::Kind::runs;
  row.runs = kRuns;
  encode(row, key, value);
  ASSERT_TRUE(decode(key, value, back));
  EXPECT_EQ(back, row);

  EXPECT_FALSE(decode(key, value.substr(0, value.size() - 1), back));
  EXPECT_FALSE(decode(key.substr(1), value, back));
  value[28] = 3;
  EXPECT_FALSE(decode(key, value, back)) << "a kind that is none";
  value[28] = 0;
  EXPECT_FALSE(decode(key, value, back)) << "one run, and a list of runs";
}

}  // namespace
}  // namespace dfs
