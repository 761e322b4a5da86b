// A core that serves metadata out of a backup, beside storage servers and
// mounts that know what came after it.
#include <algorithm>

#include "common/base/row_file.h"
#include "server/meta/backup/backup_desk.h"
#include "server/meta/backup/restore.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/server/meta/repair/repair_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

class Restored : public RepairTest {
 protected:
  void take_backup() {
    BackupDesk desk(store, clock, {});
    BackupPage page = desk.begin().value();
    auto file = RowFileWriter::create(path(), page.facts);
    ASSERT_TRUE(file);
    while (true) {
      std::string_view rows = page.rows;
      std::string_view key;
      std::string_view value;
      while (take_row(rows, key, value)) ASSERT_TRUE(file->add(key, value));
      if (page.last) break;
      page = desk.next(page.backup, page.page + 1).value();
    }
    ASSERT_TRUE(file->finish());
  }
  // The server is gone, and another one goes on with the backup.
  void restore_backup() {
    core.reset();
    KvBatch wipe;
    wipe.erase_range("", "\xff");
    ASSERT_TRUE(store.write(wipe, KvDurability::stable));
    RowFileReader file = RowFileReader::open(path()).value();
    const auto done = restore_rows(file, "backup", store, clock.wall(), {.keep_unknown = 24h * 7});
    ASSERT_TRUE(done) << done.error().to_string();
    start();
    for (const int server : servers) register_as(server);
    client = connect();
  }
  Result<RegisterResult> register_as(int server) {
    RegisterArgs args = fresh_server(server);
    args.server = ServerId{static_cast<std::uint32_t>(server)};
    args.cluster = client.welcome.cluster;
    return register_server(args);
  }
  std::filesystem::path path() const { return directory.path() / "backup"; }
  std::vector<ChunkId> allocate(std::uint32_t count) {
    std::vector<ChunkId> chunks;
    const auto result = get<AllocateResult>(client, AllocateArgs{.inode = kRootInode, .count = count});
    for (const auto& range : result.ranges)
      for (std::uint32_t i = 0; i < range.count; ++i)
        chunks.emplace_back(range.first.value() + i);
    return chunks;
  }
  bool has_row(InodeId inode) {
    std::string key;
    raw_key<tables::Inodes>(key, inode);
    return store.get(key).value().has_value();
  }
  void begin_here(int count, std::uint32_t replicas) {
    begin(count, replicas);
    for (int server = 1; server <= count; ++server) servers.push_back(server);
  }

  TemporaryDirectory directory;
  std::vector<int> servers;
};

TEST_F(Restored, HasWhatWasThereAndNotWhatCameAfter) {
  begin_here(1, 1);
  const ChunkId chunk = write("before");
  take_backup();
  write("after");
  clock.advance(1h);
  restore_backup();
  EXPECT_EQ(look(client, "before"), Errc::ok);
  EXPECT_EQ(look(client, "after"), Errc::not_found);
  const auto found = get<EntryResult>(client, LookupArgs{kRootInode, "before"});
  const auto extents = get<ExtentsResult>(
      client, GetExtentsArgs{.inode = found.attributes.inode, .offset = 0, .extents_max = 10});
  ASSERT_EQ(extents.extents.size(), 1u);
  EXPECT_EQ(extents.extents[0].chunk, chunk);
}

TEST_F(Restored, GivesNoNumberTwiceWhateverWasGivenOutSinceTheBackup) {
  begin_here(2, 1);
  take_backup();
  std::vector<ChunkId> chunks;
  InodeId inode;
  SessionId session = client.welcome.session;
  std::uint64_t table_version = 0;
  // Restored again and again out of the same backup.
  for (int life = 0; life < 3; ++life) {
    for (int i = 0; i < 50; ++i)
      for (const ChunkId chunk : allocate(4'096)) chunks.push_back(chunk);
    const InodeId made = make_file(client, "f" + std::to_string(life)).inode;
    EXPECT_GT(made, inode);
    inode = made;
    table_version = std::max(table_version, status().group_table.version);
    clock.advance(1min);
    restore_backup();
    EXPECT_GT(client.welcome.session, session);
    session = client.welcome.session;
    EXPECT_GT(status().group_table.version, table_version);
  }
  std::sort(chunks.begin(), chunks.end());
  EXPECT_EQ(std::adjacent_find(chunks.begin(), chunks.end()), chunks.end());
}

TEST_F(Restored, HasNewerEpochsThanAnybodyHasSeen) {
  begin_here(4, 3);
  take_backup();
  pass(config.server_out_after + 1s, {2, 3, 4});
  const auto before = status().group_table.groups;
  restore_backup();
  for (const auto& [id, group] : status().group_table.groups)
    EXPECT_GT(group.epoch, before.at(id).epoch);
}

TEST_F(Restored, KeepsChunksThatItDoesNotKnowUntilTheirTimeIsOver) {
  begin_here(1, 1);
  take_backup();
  const ChunkId newer = write("after");
  clock.advance(1h);
  restore_backup();
  EXPECT_TRUE(compare(1, {newer}).to_delete.empty());
  EXPECT_EQ(status().garbage_chunks, 0u);
  const auto notes = status().repair.notes;
  EXPECT_TRUE(std::any_of(notes.begin(), notes.end(), [](const std::string& note) {
    return note.find("storage server 1 has 1 chunks that no file names") != std::string::npos;
  })) << (notes.empty() ? "no notes" : notes.front());

  pass(24h * 6, {1});
  EXPECT_EQ(heartbeat(1)->to_delete.size(), 0u);
  compare(1, {newer});
  EXPECT_EQ(status().garbage_chunks, 0u) << "late_commit_max alone does not give it up";

  pass(24h * 2, {1});
  pass(config.late_commit_max + 1h, {1});
  compare(1, {newer});
  EXPECT_EQ(heartbeat(1)->to_delete, std::vector{newer});
}

TEST_F(Restored, NamesChunksThatWereDeletedSince) {
  begin_here(1, 1);
  const ChunkId chunk = write("a");
  take_backup();
  ASSERT_EQ(unlink(client, "a"), Errc::ok);
  restore_backup();
  const RepairResult told = compare(1, {});
  ASSERT_EQ(chunks_of(told.to_copy), std::vector{chunk});
  RepairArgs args = question(1);
  args.failed.push_back({chunk, true, "nobody has it"});
  ask(std::move(args)).value();
  EXPECT_EQ(status().repair.lost, std::vector{chunk});
}

TEST_F(Restored, AsksItsMembersToCopyWhatAFormerMemberHas) {
  begin_here(4, 3);
  const ChunkId chunk = write("a");
  take_backup();
  restore_backup();
  int stranger = 0;
  for (const int server : servers) {
    const auto all = servers_of(chunk.group());
    const ServerId id{static_cast<std::uint32_t>(server)};
    if (std::find(all.begin(), all.end(), id) == all.end()) stranger = server;
  }
  // Before the members' lists are compared: nobody knows yet that they lack it.
  EXPECT_TRUE(compare(stranger, {chunk}).to_drop.empty());
  for (const ServerId member : servers_of(chunk.group())) {
    const auto tasks = ask(static_cast<int>(member.value())).to_copy;
    ASSERT_EQ(tasks.size(), 1u);
    EXPECT_EQ(tasks[0].sources, std::vector{ServerId(static_cast<std::uint32_t>(stranger))});
  }
}

TEST_F(Restored, LetsAServerInThatHadJoinedSinceTheBackup) {
  begin_here(1, 1);
  take_backup();
  const ServerId second = add_server(2);
  restore_backup();
  const auto again = register_as(2);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->server, second);
  // Its id is nobody else's from now on, and never was given anew.
  RegisterArgs impostor = fresh_server(3);
  impostor.server = second;
  impostor.cluster = client.welcome.cluster;
  EXPECT_EQ(register_server(impostor).error().code, Errc::not_permitted);
  EXPECT_GT(add_server(4), second);
}

TEST_F(Restored, KnowsNoSessionOfBefore) {
  begin_here(1, 1);
  const Client former = client;
  take_backup();
  restore_backup();
  Client again = former;
  reconnect(again);
  EXPECT_FALSE(again.welcome.resumed);
  EXPECT_GT(again.welcome.session, former.welcome.session);
}

TEST_F(Restored, ShowsNoVersionOfAFileThatMountsMayRemember) {
  begin_here(1, 1);
  const InodeId inode = make_file(client, "a").inode;
  take_backup();
  write_chunk(client, inode);
  const Attributes newest =
      get<AttributesResult>(client, GetAttrArgs{inode}).attributes;
  restore_backup();
  const Attributes restored = get<AttributesResult>(client, GetAttrArgs{inode}).attributes;
  EXPECT_EQ(restored.size, 0u);
  EXPECT_GT(restored.change, newest.change);
  EXPECT_GT(restored.data_change, newest.data_change);
}

TEST_F(Restored, IsNotMadeByAClockThatStandsBeforeTheBackup) {
  begin_here(1, 1);
  take_backup();
  clock.jump_wall(-1h);
  MemoryKvStore other;
  RowFileReader file = RowFileReader::open(path()).value();
  const auto done = restore_rows(file, "backup", other, clock.wall(), {});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::invalid);
}

TEST_F(Restored, KeepsFilesWithoutNamesAsLongAsWhatIsUnknown) {
  begin_here(1, 1);
  const InodeId inode = make_unnamed_file(client).inode;
  take_backup();
  restore_backup();
  clock.advance(1h);
  tick();
  EXPECT_TRUE(has_row(inode)) << "it may have got a name after the backup";
  clock.advance(24h * 7);
  tick();
  EXPECT_FALSE(has_row(inode));
}

}  // namespace
}  // namespace dfs
