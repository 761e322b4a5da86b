// A core that serves metadata made out of what storage servers have.
#include "server/meta/salvage/salvage.h"

#include "tests/support/temporary_directory.h"
#include "tests/unit/server/meta/ops/consistency.h"
#include "tests/unit/server/meta/repair/repair_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;
using Kind = InventoryRow::Kind;

ChunkId chunk(std::uint32_t group, std::uint64_t serial) { return {GroupId{group}, serial}; }

InventoryRow row(ChunkId id, std::uint64_t inode, std::uint64_t offset, WallNanos written,
                 std::uint32_t length = 100) {
  return {.chunk = id, .length = length, .inode = InodeId{inode}, .file_offset = offset,
          .written = written, .kind = Kind::one_run, .runs = {}};
}

class Salvaged : public RepairTest {
 protected:
  void inventory(int server, const std::vector<InventoryRow>& rows,
                 const std::string& cluster = "c0ffee") {
    auto file = RowFileWriter::create(
        path(server), inventory_facts({cluster, ServerId{static_cast<std::uint32_t>(server)},
                                       "identity-" + std::to_string(server), clock.wall()}));
    ASSERT_TRUE(file);
    std::string key;
    std::string value;
    for (const InventoryRow& each : rows) {
      encode(each, key, value);
      ASSERT_TRUE(file->add(key, value));
    }
    ASSERT_TRUE(file->finish());
  }
  Result<SalvageSummary> salvage_from(const std::vector<int>& servers) {
    core.reset();
    KvBatch wipe;
    wipe.erase_range("", "\xff");
    EXPECT_TRUE(store.write(wipe, KvDurability::stable));
    Salvage work(store, clock.wall());
    for (const int server : servers) {
      RowFileReader file = TRY(RowFileReader::open(path(server)));
      TRY(work.add(file, path(server).string()));
    }
    SalvageSummary summary = TRY(work.finish({}));
    config.replicas.reset();
    start();
    for (const int server : servers) {
      RegisterArgs args = fresh_server(server);
      args.server = ServerId{static_cast<std::uint32_t>(server)};
      args.cluster = "c0ffee";
      EXPECT_TRUE(register_server(args));
    }
    client = connect();
    return summary;
  }
  std::filesystem::path path(int server) const {
    return directory.path() / ("inventory" + std::to_string(server));
  }
  Attributes found(std::uint64_t inode) {
    const InodeId lost = get<EntryResult>(client, LookupArgs{kRootInode, "lost+found"}).attributes.inode;
    return get<EntryResult>(client, LookupArgs{lost, "inode-" + std::to_string(inode)}).attributes;
  }
  std::vector<Extent> extents(std::uint64_t inode) {
    return get<ExtentsResult>(
               client, GetExtentsArgs{.inode = InodeId{inode}, .offset = 0, .extents_max = 100})
        .extents;
  }
  void expect_consistent() {
    std::string key;
    raw_key<tables::Cluster>(key, ClusterKey{});
    ClusterRecord record;
    ASSERT_TRUE(decode(*store.get(key).value(), record));
    const Totals totals{record.inodes,  record.chunks,        record.chunk_bytes,
                        record.missing, record.missing_bytes, record.garbage};
    EXPECT_EQ(find_inconsistencies(store, totals), std::vector<std::string>{});
  }

  TemporaryDirectory directory;
};

TEST_F(Salvaged, FilesConsistOfTheirChunksByTime) {
  for (const int server : {1, 2, 3})
    inventory(server, {row(chunk(1, 5), 100, 0, 10), row(chunk(2, 9), 100, 100, 20),
                       row(chunk(1, 4), 100, 50, 30), row(chunk(2, 1), 200, 0, 5)});
  const auto summary = salvage_from({1, 2, 3});
  ASSERT_TRUE(summary) << summary.error().to_string();
  EXPECT_EQ(summary->files, 2u);
  EXPECT_EQ(summary->groups, 2u);
  EXPECT_EQ(found(100).inode, InodeId{100});
  EXPECT_EQ(found(100).size, 200u);
  EXPECT_EQ(found(100).mtime, 30);
  EXPECT_EQ(extents(100), (std::vector<Extent>{{0, 50, chunk(1, 5), 0},
                                               {50, 100, chunk(1, 4), 0},
                                               {150, 50, chunk(2, 9), 50}}));
  EXPECT_EQ(found(200).size, 100u);
  expect_consistent();
}

TEST_F(Salvaged, ScatteredChunksArePlacedByTheirMap) {
  InventoryRow scattered = row(chunk(1, 1), 100, 500, 10, 64);
  scattered.kind = Kind::runs;
  scattered.runs = {{500, 20}, {0, 10}};
  InventoryRow unknown = row(chunk(1, 2), 100, 700, 20, 64);
  unknown.kind = Kind::unknown;
  inventory(1, {scattered, unknown});
  const auto summary = salvage_from({1});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->unplaced, 1u);
  EXPECT_EQ(extents(100),
            (std::vector<Extent>{{0, 10, chunk(1, 1), 20}, {500, 20, chunk(1, 1), 0}}));
  expect_consistent();
}

TEST_F(Salvaged, ChunksThatAreCoveredAreKeptForAWhile) {
  inventory(1, {row(chunk(1, 1), 100, 0, 10), row(chunk(1, 2), 100, 0, 20)});
  EXPECT_EQ(salvage_from({1})->hidden, 1u);
  compare(1, {chunk(1, 1), chunk(1, 2)});
  EXPECT_EQ(status().garbage_chunks, 0u);
}

TEST_F(Salvaged, GroupsHaveThoseMembersThatHaveTheirChunks) {
  std::vector<InventoryRow> all;
  for (std::uint64_t serial = 1; serial <= 10; ++serial)
    all.push_back(row(chunk(7, serial), 100, serial * 100, 10));
  const std::vector<InventoryRow> most(all.begin(), all.begin() + 8);
  const std::vector<InventoryRow> few(all.begin(), all.begin() + 2);
  inventory(1, most);
  inventory(2, all);
  inventory(3, few);
  ASSERT_TRUE(salvage_from({1, 2, 3}));
  EXPECT_EQ(servers_of(GroupId{7}), (std::vector{ServerId{2}, ServerId{1}}));
  // What a member lacks is found when its list is compared.
  std::set<ChunkId> here;
  for (const InventoryRow& each : most) here.insert(each.chunk);
  EXPECT_EQ(chunks_of(compare(1, here).to_copy), (std::vector{chunk(7, 9), chunk(7, 10)}));
}

TEST_F(Salvaged, NumbersGoOnBehindAllThatWereUsed) {
  inventory(1, {row(chunk(3, 1'000), 5'000, 0, 10)});
  ASSERT_TRUE(salvage_from({1}));
  EXPECT_GT(make_file(client, "new").inode, InodeId{5'001});
  for (int i = 0; i < 20; ++i) {
    const ChunkId given = allocate_one();
    EXPECT_TRUE(given.group() != GroupId{3} || given.serial() > 1'000);
  }
  EXPECT_GT(status().group_table.groups.at(GroupId{3}).epoch, Epoch{1'000'000});
}

TEST_F(Salvaged, OldRecordsWithoutATimeLieBelowThoseWithOne) {
  inventory(1, {row(chunk(1, 9), 100, 0, 0), row(chunk(1, 1), 100, 0, 10), row(chunk(1, 5), 200, 0, 0),
                row(chunk(1, 6), 200, 0, 0)});
  const auto summary = salvage_from({1});
  ASSERT_TRUE(summary);
  EXPECT_EQ(extents(100), (std::vector<Extent>{{0, 100, chunk(1, 1), 0}}));
  EXPECT_EQ(summary->ambiguous, 1u) << "of the other file nobody knows which chunk is later";
}

TEST_F(Salvaged, InventoriesOfTwoClustersAndOneServerTwiceAreRefused) {
  inventory(1, {row(chunk(1, 1), 100, 0, 10)});
  inventory(2, {row(chunk(1, 2), 100, 0, 10)}, "another");
  EXPECT_EQ(salvage_from({1, 2}).error().code, Errc::wrong_cluster);
  EXPECT_EQ(salvage_from({1, 1}).error().code, Errc::exists);
}

TEST_F(Salvaged, ChunksOfNoFileAreLeftWhereTheyAre) {
  inventory(1, {row(chunk(1, 1), 0, 0, 10), row(chunk(1, 2), 100, 0, 10)});
  const auto summary = salvage_from({1});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->files, 1u);
  EXPECT_EQ(summary->unplaced, 1u);
  expect_consistent();
}

}  // namespace
}  // namespace dfs
