// Damage of extents, attributes, chunks, groups and totals.
#include "tests/unit/server/meta/fsck/fsck_fixture.h"

namespace dfs::fsck {
namespace {

using testing::Contains;
using testing::HasSubstr;

TEST_F(FsckTest, CorrectsWhatAnInodeCounts) {
  stop();
  damage<tables::Inodes>(file, [](auto& record) { record.allocated = 5, record.xattrs = 3; });
  damage<tables::Inodes>(symlink, [](auto& record) { record.size = 3; });
  expect_mended({"counts 5 bytes in chunks, but has 1000", "counts 3 extended attributes, but has 1",
                 "/dir/symlink is a symlink of 6 bytes, but counts 3"});
}

TEST_F(FsckTest, RemovesWhatBelongsToAnInodeThatIsGone) {
  stop();
  put<tables::Extents>({InodeId{999}, 0}, {1000, chunk, 0});
  damage<tables::Chunks>(chunk, [](auto& record) { record.references = 2; });
  put<tables::Xattrs>({InodeId{999}, "user.b"}, {"x"});
  expect_mended({"inode 999 is no file, but has bytes at 0", "inode 999 does not exist, but has the extended attribute"});
  EXPECT_EQ(row<tables::Chunks>(chunk).references, 1U);
}

TEST_F(FsckTest, NamesTheFileOfAnExtentThatDoesNotHold) {
  stop();
  spoil<tables::Extents>({file, 0});
  expect_left("/link cannot be read at 0: the record of the extent there does not hold");
  EXPECT_TRUE(has<tables::Chunks>(chunk)) << "it may be what the extent says";
}

TEST_F(FsckTest, LeavesExtentsThatContradictEachOther) {
  stop();
  put<tables::Extents>({file, 500}, {1000, chunk, 0});
  damage<tables::Chunks>(chunk, [](auto& record) { record.references = 2; });
  expect_left("/link has bytes 500 to 1000 twice");
  EXPECT_THAT(check(), Contains(HasSubstr("/link has bytes up to 1500, but is 1000 bytes long")));
}

TEST_F(FsckTest, NotesAChunkAsLongAsItIsUsed) {
  stop();
  damage<tables::Chunks>(chunk, [](auto& record) { record.length = 10; });
  expect_mended({"uses bytes up to 1000 of chunk " + to_string(chunk) + ", which is noted as 10 bytes long"});
  EXPECT_EQ(row<tables::Chunks>(chunk).length, 1000U);
}

TEST_F(FsckTest, NotesAChunkThatIsUsedAndHasNoRow) {
  stop();
  erase<tables::Chunks>(chunk);
  put<tables::Garbage>(chunk, {.servers = {ServerId{1}}, .length = 1000});
  expect_mended({"/link uses chunk " + to_string(chunk) + ", which is not noted as in use"});
  EXPECT_EQ(row<tables::Chunks>(chunk).references, 1U);
  EXPECT_FALSE(has<tables::Garbage>(chunk));
  EXPECT_TRUE(has<tables::Missing>({a_member(), chunk})) << "who may have deleted it is to look";
}

TEST_F(FsckTest, MakesAChunkRowAnewThatDoesNotHold) {
  stop();
  spoil<tables::Chunks>(chunk);
  expect_mended({"the chunk record at key C", "/link uses chunk"});
}

TEST_F(FsckTest, CountsTheReferencesOfChunks) {
  stop();
  damage<tables::Chunks>(chunk, [](auto& record) { record.references = 4; });
  expect_mended({"chunk " + to_string(chunk) + " counts 4 extents that use it, but there are 1"});
}

TEST_F(FsckTest, MakesGarbageOfChunksThatNothingUses) {
  stop();
  const ChunkId counted(chunk.group(), chunk.serial() + 1'000);
  const ChunkId spoilt(chunk.group(), chunk.serial() + 1'001);
  put<tables::Chunks>(counted, {1000, 1});
  spoil<tables::Chunks>(spoilt);
  damage<tables::Groups>(chunk.group(), [](auto& group) { group.next_chunk += 2'000; });
  expect_mended({"counts 1 extents that use it, but there are 0",
                 "chunk " + to_string(spoilt) + ", whose record does not hold, is used by no file",
                 "the number of chunks is noted as 2, but it is 3"});
  EXPECT_TRUE(has<tables::Garbage>(counted));
  EXPECT_TRUE(has<tables::Garbage>(spoilt));
}

TEST_F(FsckTest, KeepsAChunkThatIsUsedAndWasToBeDeleted) {
  stop();
  put<tables::Garbage>(chunk, {.servers = {ServerId{1}}, .length = 1000});
  expect_mended({"chunk " + to_string(chunk) + " is in use and noted as garbage, too"});
  EXPECT_FALSE(has<tables::Garbage>(chunk));
  EXPECT_TRUE(has<tables::Chunks>(chunk));
}

TEST_F(FsckTest, DoesNotWaitForServersThatDoNotExist) {
  stop();
  const ChunkId garbage(chunk.group(), chunk.serial() + 1);
  put<tables::Garbage>(garbage, {.servers = {ServerId{77}}, .length = 1000});
  put<tables::Missing>({ServerId{77}, chunk}, {.length = 1000});
  damage<tables::Groups>(chunk.group(), [](auto& group) { group.next_chunk += 2'000; });
  expect_mended({"is to be deleted by a storage server that does not exist",
                 "storage server 77 is to get chunk"});
}

TEST_F(FsckTest, GivesNoIdOnceMore) {
  stop();
  damage<tables::Cluster>({}, [](auto& row) { row.next_inode = InodeId{3}, row.next_server = ServerId{1}; });
  damage<tables::Groups>(chunk.group(), [](auto& group) { group.next_chunk = 1; });
  expect_mended({"the next inode would get number 3, but there is a inode with number",
                 "the next storage server would get number 1",
                 "would give out chunk"});
  EXPECT_GT(make_file(client, "new").inode, held);
}

TEST_F(FsckTest, CorrectsTotals) {
  stop();
  damage<tables::Cluster>({}, [](auto& row) { row.inodes = 100, row.chunk_bytes = 1, row.missing = 9; });
  expect_mended({"the number of inodes is noted as 100, but it is 6", "the number of bytes in chunks is noted as 1",
                 "the number of missing copies is noted as 9, but it is 0"});
}

TEST_F(FsckTest, SaysWhatIsWrongWithGroups) {
  stop();
  damage<tables::Groups>(chunk.group(), [](auto& group) { group.members[0].server = ServerId{55}; });
  expect_left("its member 55 is no storage server of the cluster");
  damage<tables::Groups>(chunk.group(), [](auto& group) { group.members.pop_back(); });
  expect_left("it should have 2 members and has 1");
  erase<tables::Groups>(chunk.group());
  expect_left("/link cannot be read at 0: chunk");
}

TEST_F(FsckTest, ForgetsRepliesOfSessionsThatHaveEnded) {
  stop();
  put<tables::Replies>({SessionId{1234}, Sequence{1}}, {"x"});
  expect_mended({"replies are kept for session 1234, which has ended"});
}

TEST_F(FsckTest, NamesRowsThatNothingKnows) {
  stop();
  put_raw("Zrow", "x");
  put_raw("Ishort", "x");
  expect_left("the row at key Z 726f77 belongs to no table");
  EXPECT_THAT(check(), Contains(HasSubstr("the inode record at key I 73686f7274 does not hold")));
}

TEST_F(FsckTest, ChangesNothingWithoutBeingAsked) {
  stop();
  damage<tables::Inodes>(file, [](auto& record) { record.nlink = 1; });
  EXPECT_EQ(check(), check());
  EXPECT_EQ(row<tables::Inodes>(file).nlink, 1U);
}

TEST_F(FsckTest, SaysWhyARepairWasNotWritten) {
  stop();
  damage<tables::Inodes>(file, [](auto& record) { record.nlink = 1; });
  log->refuse_next(Errc::no_space);
  EXPECT_THAT(repair(), Contains(HasSubstr("refused by the test")));
  EXPECT_EQ(summary.left, 1U);
  EXPECT_EQ(row<tables::Inodes>(file).nlink, 1U);
}

}  // namespace
}  // namespace dfs::fsck
