// How chunks get to another number of copies, against a whole core.
#include "tests/unit/server/meta/repair/repair_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

class ConversionTest : public RepairTest {
 protected:
  InodeId make_directory(InodeId parent, const std::string& name) {
    return get<EntryResult>(client, CreateArgs{.parent = parent, .name = name,
                                               .type = FileType::directory, .mode = 0755})
        .attributes.inode;
  }
  // A file of so many chunks.
  InodeId make(InodeId parent, const std::string& name, std::uint32_t chunks = 1) {
    const InodeId inode = get<EntryResult>(client, CreateArgs{.parent = parent, .name = name,
                                                              .mode = 0644})
                              .attributes.inode;
    CommitFile file{.inode = inode};
    for (const ChunkId chunk : allocate(inode, chunks))
      file.extents.push_back({.file_offset = file.extents.size() * 1000, .length = 1000,
                              .chunk = chunk});
    get<CommitResult>(client, CommitArgs{.files = {file}});
    return inode;
  }
  std::vector<ChunkId> allocate(InodeId inode, std::uint32_t count = 1) {
    std::vector<ChunkId> chunks;
    const auto allocated = get<AllocateResult>(client, AllocateArgs{.inode = inode, .count = count});
    for (const ChunkRange& range : allocated.ranges)
      for (std::uint32_t i = 0; i < range.count; ++i)
        chunks.push_back(ChunkId{range.first.value() + i});
    return chunks;
  }
  void set_replicas(InodeId inode, std::uint32_t replicas) {
    get<AttributesResult>(client, SetPolicyArgs{.inode = inode, .replicas = replicas});
  }
  std::vector<ChunkId> chunks(InodeId inode) {
    std::vector<ChunkId> all;
    for (const Extent& extent : get<ExtentsResult>(client, GetExtentsArgs{.inode = inode}).extents)
      all.push_back(extent.chunk);
    return all;
  }
  std::size_t copies_of(ChunkId chunk) { return servers_of(chunk.group()).size(); }
  std::size_t copies(InodeId inode) { return copies_of(chunks(inode).at(0)); }
  std::uint32_t wanted(InodeId inode) {
    return get<AttributesResult>(client, GetAttrArgs{.inode = inode}).attributes.replicas;
  }

  // Each of these servers does what it is told, until nobody is told anything.
  void work(const std::vector<int>& servers) {
    for (int round = 0; round < 100; ++round) {
      tick();
      bool any = false;
      for (const int server : servers) {
        const auto tasks = ask(server).to_copy;
        for (const CopyTask& task : tasks) made_[task.chunk] = task.from;
        if (!tasks.empty()) copied(server, tasks);
        any = any || !tasks.empty();
      }
      if (!any) return tick();
    }
    ADD_FAILURE() << "there is always more to copy";
  }
  std::vector<ChunkId> garbage() {
    clock.advance(3s);
    std::vector<ChunkId> all;
    for (int server = 1; server <= 3; ++server) {
      const auto some = heartbeat(server)->to_delete;
      all.insert(all.end(), some.begin(), some.end());
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }
  void expect_nothing_left() {
    EXPECT_EQ(status().repair.conversion.directories, 0u);
    EXPECT_EQ(status().repair.conversion.files, 0u);
    EXPECT_EQ(status().repair.conversion.bytes, 0u);
    EXPECT_EQ(status().repair_queue, 0u);
    EXPECT_TRUE(status().repair.notes.empty());
  }

  std::map<ChunkId, ChunkId> made_;  // of whose bytes
};

TEST_F(ConversionTest, RaisesWhatIsInADirectoryAndBelow) {
  begin(3, 1);
  const InodeId directory = make_directory(kRootInode, "d");
  const InodeId below = make_directory(directory, "e");
  const InodeId file = make(directory, "f", 3), deep = make(below, "g");
  const InodeId other = make(kRootInode, "other");
  const std::vector<ChunkId> before = chunks(file);
  set_replicas(directory, 2);
  tick();
  EXPECT_EQ(wanted(file), 2u);
  EXPECT_EQ(status().repair.conversion.files, 2u);
  EXPECT_EQ(status().repair.conversion.bytes, 4000u);
  EXPECT_EQ(chunks(file), before) << "until there are copies";
  work({1, 2, 3});
  EXPECT_EQ(copies(deep), 2u);
  ASSERT_EQ(chunks(file).size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(copies_of(chunks(file)[i]), 2u);
    EXPECT_EQ(made_[chunks(file)[i]], before[i]);
  }
  EXPECT_EQ(copies(other), 1u);
  EXPECT_EQ(garbage().size(), 4u);
  EXPECT_EQ(status().chunks, 5u);
  expect_nothing_left();
}

TEST_F(ConversionTest, LowersAndKeepsTheOldCopiesUntilTheNewOneIsThere) {
  begin(3, 3);
  const InodeId file = make(kRootInode, "f");
  const ChunkId before = chunks(file)[0];
  set_replicas(kRootInode, 1);
  tick();
  EXPECT_TRUE(garbage().empty());
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 1u);
  EXPECT_TRUE(heartbeat(1)->to_delete.empty()) << "power loss could undo the exchange";
  EXPECT_EQ(garbage(), std::vector{before});
  expect_nothing_left();
}

TEST_F(ConversionTest, ExchangesNothingThatALivingMemberLacks) {
  begin(2, 1);
  const InodeId file = make(kRootInode, "f");
  set_replicas(kRootInode, 2);
  tick();
  const auto tasks = ask(1).to_copy;
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0].from, chunks(file)[0]);
  copied(1, tasks);
  tick();
  EXPECT_EQ(copies(file), 1u);
  pass(config.server_silence_max + 1s, {1});
  EXPECT_EQ(copies(file), 2u) << "as much as new files have while a server is away";
  EXPECT_EQ(status().repair_queue, 1u) << "and repair makes the rest";
  EXPECT_EQ(chunks_of(ask(2).to_copy), chunks(file));
}

TEST_F(ConversionTest, NeverHasFewerCopiesThanTheSmallerNumber) {
  begin(3, 3);
  const InodeId file = make(kRootInode, "f");
  set_replicas(kRootInode, 2);
  tick();
  std::set<int> members;
  ChunkId made;
  for (const int server : {1, 2, 3})
    for (const CopyTask& task : ask(server).to_copy) {
      members.insert(server);
      made = task.chunk;
    }
  ASSERT_EQ(members.size(), 2u);
  RepairArgs done = question(*members.begin());
  done.copied = {made};
  ask(std::move(done)).value();
  std::vector<int> alive;
  for (const int server : {1, 2, 3})
    if (server != *members.rbegin()) alive.push_back(server);
  pass(config.server_silence_max + 1s, alive);
  EXPECT_EQ(copies(file), 3u) << "one copy would be fewer than two";
}

TEST_F(ConversionTest, GoesOnAfterARestart) {
  begin(3, 1);
  const InodeId directory = make_directory(kRootInode, "d");
  const InodeId one = make(directory, "one"), two = make(directory, "two");
  set_replicas(directory, 2);
  restart();
  reconnect(client);
  tick();
  copied(1, ask(1).to_copy);
  restart();
  reconnect(client);
  EXPECT_GT(status().repair.conversion.files + status().repair.conversion.directories, 0u);
  work({1, 2, 3});
  EXPECT_EQ(copies(one), 2u);
  EXPECT_EQ(copies(two), 2u);
  expect_nothing_left();
}

TEST_F(ConversionTest, ABatchThatIsRefusedLosesNothing) {
  begin(3, 1);
  const InodeId file = make(kRootInode, "f");
  set_replicas(kRootInode, 2);
  log->refuse_next(Errc::no_space);
  tick();
  tick();
  for (const int server : {1, 2, 3}) copied(server, ask(server).to_copy);
  log->refuse_next(Errc::no_space);
  tick();
  EXPECT_EQ(copies(file), 1u);
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 2u);
  expect_nothing_left();
}

TEST_F(ConversionTest, LeavesAloneWhatWasWrittenMeanwhile) {
  begin(3, 1);
  const InodeId file = make(kRootInode, "f", 2);
  set_replicas(kRootInode, 2);
  tick();
  const ChunkId fresh = allocate(file)[0];
  EXPECT_EQ(copies_of(fresh), 2u);
  CommitFile overwrite{.inode = file};
  overwrite.extents = {{.file_offset = 500, .length = 1000, .chunk = fresh}};
  get<CommitResult>(client, CommitArgs{.files = {overwrite}});
  const std::vector<ChunkId> before = chunks(file);
  ASSERT_EQ(before.size(), 3u);
  work({1, 2, 3});
  const std::vector<ChunkId> after = chunks(file);
  ASSERT_EQ(after.size(), 3u);
  EXPECT_EQ(made_[after[0]], before[0]);
  EXPECT_EQ(after[1], fresh);
  EXPECT_EQ(made_[after[2]], before[2]);
  expect_nothing_left();
}

TEST_F(ConversionTest, MakesGarbageOfWhatWasCopiedForAFileThatIsGone) {
  begin(3, 1);
  const InodeId file = make(kRootInode, "f");
  const ChunkId before = chunks(file)[0];
  set_replicas(kRootInode, 2);
  tick();
  ASSERT_EQ(unlink(client, "f"), Errc{});
  work({1, 2, 3});
  ASSERT_EQ(made_.size(), 1u);
  EXPECT_EQ(status().chunks, 0u);
  std::vector<ChunkId> gone{before, made_.begin()->first};
  std::sort(gone.begin(), gone.end());
  EXPECT_EQ(garbage(), gone);
  expect_nothing_left();
}

TEST_F(ConversionTest, ConvertsWhatAClientStillWritesInTheFormerNumber) {
  begin(3, 1);
  const InodeId file = make(kRootInode, "f");
  const ChunkId stock = allocate(file)[0];
  set_replicas(kRootInode, 2);
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 2u);
  commit(file, stock);
  EXPECT_EQ(copies(file), 1u);
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 2u);
  expect_nothing_left();
}

TEST_F(ConversionTest, SharesTheCopyOfWhatFilesShareAndLeavesOthersTheOldOne) {
  begin(3, 1);
  const InodeId directory = make_directory(kRootInode, "d");
  const InodeId file = make(directory, "f"), twin = make(directory, "twin");
  const InodeId outside = make(kRootInode, "outside");
  for (const InodeId target : {twin, outside})
    get<CloneResult>(client, CloneArgs{.source = file, .inode = target, .length = 1000});
  const ChunkId before = chunks(file)[0];
  set_replicas(directory, 2);
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 2u);
  EXPECT_EQ(chunks(file), chunks(twin));
  EXPECT_EQ(chunks(outside), std::vector{before});
  EXPECT_EQ(status().chunks, 2u);
  expect_nothing_left();
}

TEST_F(ConversionTest, WhatIsMovedGetsWhatItsNewDirectoryAsksFor) {
  begin(3, 1);
  const InodeId careful = make_directory(kRootInode, "careful");
  const InodeId tree = make_directory(kRootInode, "tree");
  const InodeId file = make(kRootInode, "f"), inside = make(tree, "inside");
  set_replicas(careful, 2);
  tick();
  get<RemovedResult>(client, RenameArgs{kRootInode, "f", careful, "f"});
  get<RemovedResult>(client, RenameArgs{kRootInode, "tree", careful, "tree"});
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 2u);
  EXPECT_EQ(copies(inside), 2u);

  get<RemovedResult>(client, RenameArgs{careful, "f", kRootInode, "f"});
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 1u);
  expect_nothing_left();
}

TEST_F(ConversionTest, AFileKeepsItsOwnNumberWhereItsDirectoriesAskForTheSame) {
  begin(3, 1);
  const InodeId directory = make_directory(kRootInode, "d");
  const InodeId file = make(kRootInode, "f");
  set_replicas(file, 3);
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 3u);
  get<RemovedResult>(client, RenameArgs{kRootInode, "f", directory, "f"});
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 3u);
}

TEST_F(ConversionTest, DirectoriesThatSpeakForThemselvesAreLeftAlone) {
  begin(3, 1);
  const InodeId directory = make_directory(kRootInode, "d");
  const InodeId own = make_directory(directory, "own");
  const InodeId file = make(own, "f");
  set_replicas(own, 1);
  set_replicas(directory, 2);
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 1u);
  set_replicas(own, 0);
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 2u);
  expect_nothing_left();
}

TEST_F(ConversionTest, SaysWhyItDoesNotGoOn) {
  begin(2, 1);
  make(kRootInode, "f");
  set_replicas(kRootInode, 3);
  tick();
  EXPECT_EQ(status().repair.conversion.files, 1u);
  ASSERT_EQ(status().repair.notes.size(), 1u);
  EXPECT_EQ(status().repair.notes[0],
            "no chunk can be brought to another number of copies: 3 copies of each chunk need 3 "
            "storage servers; 2 are registered, 2 of them alive");
  add_server(3);
  clock.advance(5s);
  work({1, 2, 3});
  expect_nothing_left();
}

TEST_F(ConversionTest, ACopyThatFailsIsTriedAgainAndThenElsewhere) {
  begin(3, 1);
  const InodeId file = make(kRootInode, "f");
  set_replicas(kRootInode, 2);
  tick();
  std::set<ChunkId> tried;
  for (int round = 0; round < 6; ++round) {
    clock.advance(10s);
    for (int server = 1; server <= 3; ++server) heartbeat(server).value();
    for (const int server : {1, 2, 3}) {
      RepairArgs args = question(server);
      for (const CopyTask& task : ask(server).to_copy) {
        tried.insert(task.chunk);
        args.failed.push_back({task.chunk, true, "no way"});
      }
      ask(std::move(args)).value();
    }
    EXPECT_EQ(status().repair.notes.size(), 1u);
    tick();
  }
  ASSERT_EQ(tried.size(), 1u);
  EXPECT_EQ(status().repair.lost_chunks, 0u);
  clock.advance(61s);
  for (int server = 1; server <= 3; ++server) heartbeat(server).value();
  work({1, 2, 3});
  EXPECT_EQ(copies(file), 2u);
  EXPECT_FALSE(tried.contains(chunks(file)[0]));
}

TEST_F(ConversionTest, GoesThroughLongFilesInParts) {
  begin(3, 1);
  const InodeId file = make(kRootInode, "f", 1'500);
  const std::vector<Extent> before =
      get<ExtentsResult>(client, GetExtentsArgs{.inode = file, .extents_max = 2'000}).extents;
  set_replicas(kRootInode, 2);
  work({1, 2, 3});
  const std::vector<Extent> after =
      get<ExtentsResult>(client, GetExtentsArgs{.inode = file, .extents_max = 2'000}).extents;
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) EXPECT_EQ(made_[after[i].chunk], before[i].chunk);
  expect_nothing_left();
}

}  // namespace
}  // namespace dfs
