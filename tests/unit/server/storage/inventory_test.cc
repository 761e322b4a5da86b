#include "server/storage/inventory.h"

#include <map>

#include "common/rpc/chunk_inventory.h"
#include "tests/unit/server/storage/store_fixture.h"

namespace dfs::storage {
namespace {

using Kind = InventoryRow::Kind;

class InventoryTest : public testing::Test {
 protected:
  Result<std::unique_ptr<StoreSet>> open(const std::vector<std::string>& names) {
    StoreSetOptions options;
    for (const std::string& name : names) options.directories.push_back(root_.path() / name);
    options.store.segment_bytes = 16 * MiB;
    options.store.reserved_bytes = 1;
    return StoreSet::open(disk_, clock_, options, open_real_index);
  }
  static void put_into(StoreSet& stores, const TestChunk& chunk) {
    ASSERT_TRUE(put(**stores.store_to_put(chunk.meta), chunk));
  }
  // What `runs` say, with a map of them at the end.
  static TestChunk scattered(std::uint64_t serial, const std::vector<FileRun>& runs) {
    std::uint32_t length = 0;
    for (const FileRun& run : runs) length += run.length;
    TestChunk chunk = make_chunk(serial, length);
    const auto map = encode_run_map(runs);
    chunk.bytes.insert(chunk.bytes.end(), map.begin(), map.end());
    chunk.meta.length = static_cast<std::uint32_t>(chunk.bytes.size());
    chunk.meta.scattered = true;
    chunk.sums = block_checksums(chunk.bytes);
    return chunk;
  }
  std::map<ChunkId, InventoryRow> read() {
    std::map<ChunkId, InventoryRow> rows;
    auto file = RowFileReader::open(path());
    EXPECT_TRUE(file);
    const auto head = read_inventory_head(*file, "it");
    EXPECT_TRUE(head);
    EXPECT_EQ(head->cluster, "cluster-1");
    EXPECT_EQ(head->server, ServerId{7});
    std::string_view key;
    std::string_view value;
    while (file->next(key, value).value()) {
      InventoryRow row;
      EXPECT_TRUE(decode(key, value, row));
      EXPECT_TRUE(rows.emplace(row.chunk, row).second);
    }
    return rows;
  }
  std::filesystem::path path() const { return root_.path() / "inventory"; }

  TemporaryDirectory root_;
  FakeClock clock_;
  PosixDisk disk_;
};

TEST_F(InventoryTest, SaysOfEachChunkWhereItBelongsAndWhenItWasWritten) {
  const auto stores = open({"a", "b"});
  ASSERT_TRUE(stores);
  ASSERT_TRUE((*stores)->join("cluster-1", ServerId{7}));
  TestChunk plain = make_chunk(1, 200'000);
  plain.meta.written = 1234;
  put_into(**stores, plain);
  const std::vector<FileRun> runs{{5000, 100}, {0, 70'000}};
  put_into(**stores, scattered(2, runs));
  TestChunk mapless = make_chunk(3, 100);
  mapless.meta.scattered = true;
  put_into(**stores, mapless);

  const auto summary = write_inventory(**stores, clock_, path());
  ASSERT_TRUE(summary) << summary.error().to_string();
  EXPECT_EQ(summary->chunks, 3u);
  EXPECT_EQ(summary->unplaced, 1u);
  const auto rows = read();
  ASSERT_EQ(rows.size(), 3u);
  const InventoryRow& one = rows.at(plain.meta.chunk);
  EXPECT_EQ(one.inode, plain.meta.inode);
  EXPECT_EQ(one.file_offset, plain.meta.file_offset);
  EXPECT_EQ(one.written, 1234);
  EXPECT_EQ(one.kind, Kind::one_run);
  EXPECT_EQ(rows.at(ChunkId(GroupId{3}, 2)).runs, runs);
  EXPECT_EQ(rows.at(ChunkId(GroupId{3}, 3)).kind, Kind::unknown);
}

TEST_F(InventoryTest, IsNotWrittenOfADirectoryThatIsNone) {
  const auto missing = write_inventory_of({root_.path() / "nothing"}, path());
  EXPECT_FALSE(missing);
  EXPECT_FALSE(std::filesystem::exists(root_.path() / "nothing")) << "nothing is made";
  {
    const auto stores = open({"a"});
    ASSERT_TRUE(stores);
  }
  const auto unregistered = write_inventory_of({root_.path() / "a"}, path());
  ASSERT_FALSE(unregistered);
  EXPECT_EQ(unregistered.error().code, Errc::invalid);
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(InventoryTest, IsNotWrittenWhileTheServerRuns) {
  const auto stores = open({"a"});
  ASSERT_TRUE(stores);
  const auto refused = write_inventory_of({root_.path() / "a"}, path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::busy);
}

}  // namespace
}  // namespace dfs::storage
