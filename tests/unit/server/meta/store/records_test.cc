#include "server/meta/store/records.h"

#include <gtest/gtest.h>

#include "common/kv/memory_kv_store.h"
#include "server/meta/store/tables.h"

namespace dfs {
namespace {

// Decoded from its own encoding, and encoded again: equal bytes mean that
// every field made the journey (the fields themselves are checked below).
template <typename Record>
Record round_trip(const Record& record) {
  std::string first;
  std::string second;
  encode(record, first);
  Record decoded;
  EXPECT_TRUE(decode(first, decoded));
  encode(decoded, second);
  EXPECT_EQ(first, second);
  return decoded;
}

TEST(Records, KeepEveryFieldOfAnInode) {
  InodeRecord record;
  record.type = FileType::symlink;
  record.mode = 01777;
  record.uid = 1;
  record.gid = 2;
  record.nlink = 3;
  record.size = 4;
  record.atime = -5;
  record.mtime = 6;
  record.ctime = 7;
  record.btime = 8;
  record.rdev = 9;
  record.parent = InodeId{10};
  record.target = std::string("t\0t", 3);
  record.allocated = 11;
  record.generation = 12;
  record.change = 13;
  record.data_change = 14;
  record.entries = 15;
  record.replicas = 16;
  record.chunk_size = 17;
  record.xattrs = 18;
  record.next_cookie = 19;
  record.consistency = Consistency::relaxed;
  const InodeRecord back = round_trip(record);
  EXPECT_EQ(back.type, FileType::symlink);
  EXPECT_EQ(back.mode, 01777U);
  EXPECT_EQ(back.uid, 1U);
  EXPECT_EQ(back.gid, 2U);
  EXPECT_EQ(back.nlink, 3U);
  EXPECT_EQ(back.size, 4U);
  EXPECT_EQ(back.atime, -5);
  EXPECT_EQ(back.mtime, 6);
  EXPECT_EQ(back.ctime, 7);
  EXPECT_EQ(back.btime, 8);
  EXPECT_EQ(back.rdev, 9U);
  EXPECT_EQ(back.parent, InodeId{10});
  EXPECT_EQ(back.target, std::string("t\0t", 3));
  EXPECT_EQ(back.allocated, 11U);
  EXPECT_EQ(back.generation, 12U);
  EXPECT_EQ(back.change, 13U);
  EXPECT_EQ(back.data_change, 14U);
  EXPECT_EQ(back.entries, 15U);
  EXPECT_EQ(back.replicas, 16U);
  EXPECT_EQ(back.chunk_size, 17U);
  EXPECT_EQ(back.xattrs, 18U);
  EXPECT_EQ(back.next_cookie, 19U);
  EXPECT_EQ(back.consistency, Consistency::relaxed);
}

TEST(Records, KeepEveryFieldOfTheOthers) {
  const DirentRecord dirent = round_trip(DirentRecord{InodeId{1}, FileType::fifo, 2});
  EXPECT_EQ(dirent.inode, InodeId{1});
  EXPECT_EQ(dirent.type, FileType::fifo);
  EXPECT_EQ(dirent.cookie, 2U);
  EXPECT_EQ(round_trip(ListingRecord{InodeId{1}, FileType::fifo, "x"}).name, "x");
  const ExtentRecord extent = round_trip(ExtentRecord{1, ChunkId{2}, 3});
  EXPECT_EQ(extent.chunk, ChunkId{2});
  EXPECT_EQ(extent.chunk_offset, 3U);
  EXPECT_EQ(round_trip(ChunkRecord{1, 2}).references, 2U);
  EXPECT_EQ(round_trip(GarbageRecord{{ServerId{1}, ServerId{2}}, 3}).servers.size(), 2U);
  EXPECT_EQ(round_trip(OrphanRecord{4}).since, 4);
  EXPECT_TRUE(round_trip(OrphanRecord{4, true}).unnamed);
  const MissingRecord missing = round_trip(MissingRecord{5, {ServerId{6}}});
  EXPECT_EQ(missing.length, 5U);
  EXPECT_EQ(missing.sources, std::vector{ServerId{6}});
  EXPECT_EQ(round_trip(XattrRecord{std::string("\0v", 2)}).value.size(), 2U);
  EXPECT_EQ(round_trip(ReplyRecord{"reply"}).bytes, "reply");

  const GroupRecord group = round_trip(
      GroupRecord{"pool", Epoch{3}, {{ServerId{1}, MemberState::joining}}, 4, 5, 6});
  EXPECT_EQ(group.pool, "pool");
  EXPECT_EQ(group.epoch, Epoch{3});
  EXPECT_EQ(group.members, (std::vector<GroupMember>{{ServerId{1}, MemberState::joining}}));
  EXPECT_EQ(group.next_chunk, 4U);
  EXPECT_EQ(group.replicas, 5U);
  EXPECT_EQ(group.given_up_below, 6U);

  const ServerRecord server =
      round_trip(ServerRecord{"id", "host:1", "/sock", "boot", {{"zone", "a"}}, 6, true});
  EXPECT_EQ(server.identity, "id");
  EXPECT_EQ(server.labels.at("zone"), "a");
  EXPECT_EQ(server.capacity, 6U);
  EXPECT_TRUE(server.draining);

  const SessionRecord session =
      round_trip(SessionRecord{Epoch{1}, "dfs-mount", "host", "/mnt", 7, 8, Sequence{9}, true});
  EXPECT_EQ(session.program, "dfs-mount");
  EXPECT_EQ(session.answered_through, Sequence{9});
  EXPECT_TRUE(session.wants_leases);

  const ClusterRecord cluster =
      round_trip(ClusterRecord{"id", 1, InodeId{2}, ServerId{3}, GroupId{4}, SessionId{5}, 6, 7, 8,
                               9, 10, 11, 12, 13, 14, 15, 16});
  EXPECT_EQ(cluster.next_session, SessionId{5});
  EXPECT_EQ(cluster.chunk_bytes, 11U);
  EXPECT_EQ(cluster.generation, 12U);
  EXPECT_EQ(cluster.starts, 13U);
  EXPECT_EQ(cluster.missing, 14U);
  EXPECT_EQ(cluster.missing_bytes, 15U);
  EXPECT_EQ(cluster.garbage, 16U);
}

TEST(Records, AreRefusedWhenTheBytesAreNoSuchRecord) {
  InodeRecord inode;
  EXPECT_FALSE(decode("\xff\xff\xff", inode));
  EXPECT_FALSE(decode("", inode)) << "an inode without a type";
  DirentRecord dirent;
  EXPECT_FALSE(decode("", dirent));
  ExtentRecord extent;
  EXPECT_FALSE(decode("", extent)) << "an empty extent";
  ChunkRecord chunk;
  EXPECT_FALSE(decode("", chunk)) << "a chunk nobody names";
}

TEST(Records, OfAWholeTableAreVisitedInOrderOfKeys) {
  MemoryKvStore store;
  KvBatch batch;
  for (const std::uint64_t chunk : {300, 2, 70}) {
    std::string raw;
    std::string value;
    raw_key<tables::Chunks>(raw, ChunkId{chunk});
    encode(ChunkRecord{1, 1}, value);
    batch.put(raw, value);
  }
  batch.put("D-another-table", "x");
  ASSERT_TRUE(store.write(batch, KvDurability::process));

  std::vector<std::uint64_t> seen;
  const auto visit = [&](ChunkId chunk, ChunkRecord&&) -> Result<void> {
    seen.push_back(chunk.value());
    return {};
  };
  ASSERT_TRUE(for_each_row<tables::Chunks>(store, visit));
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{2, 70, 300}));

  KvBatch bad;
  std::string raw;
  raw_key<tables::Chunks>(raw, ChunkId{71});
  bad.put(raw, "\xff");
  ASSERT_TRUE(store.write(bad, KvDurability::process));
  const Result<void> scanned = for_each_row<tables::Chunks>(store, visit);
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().code, Errc::corrupt);
  EXPECT_NE(scanned.error().text.find("C 0000000000000047"), std::string::npos);
}

}  // namespace
}  // namespace dfs
