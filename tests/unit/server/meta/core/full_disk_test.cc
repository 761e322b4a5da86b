// When the disk under the metadata gets full: what grows is refused in time,
// what frees space and all that only looks goes on.
#include "tests/unit/server/meta/core/core_fixture.h"

namespace dfs {
namespace {

class FullDisk : public CoreTest {
 protected:
  FullDisk() {
    client = connect();
    add_server(1);
    file = make_file(client, "file").inode;
    extent = write_chunk(client, file);
    get<AttributesResult>(client, SetXattrArgs{file, "user.a", "a value"});
  }
  void fill() {
    store.set_free_bytes(config.reserved_bytes);
    tick();
  }
  Errc make(const std::string& name) {
    return error_of(call(client, CreateArgs{.parent = kRootInode, .name = name}));
  }
  Errc run(MetaArgs args) { return error_of(call(client, std::move(args))); }

  Client client;
  InodeId file;
  Extent extent;
};

TEST_F(FullDisk, RefusesWhatMakesTheNamespaceGrow) {
  const InodeId other = make_file(client, "other").inode;
  fill();
  EXPECT_EQ(make("new"), Errc::no_space);
  EXPECT_EQ(run(CreateArgs{.parent = kRootInode, .name = "new", .open = true}), Errc::no_space);
  EXPECT_EQ(run(CreateArgs{.parent = kRootInode, .name = "new", .type = FileType::directory}),
            Errc::no_space);
  EXPECT_EQ(run(SymlinkArgs{kRootInode, "new", "file"}), Errc::no_space);
  EXPECT_EQ(run(LinkArgs{file, kRootInode, "new"}), Errc::no_space);
  EXPECT_EQ(run(SetXattrArgs{file, "user.b", ""}), Errc::no_space);
  EXPECT_EQ(run(SetXattrArgs{file, "user.a", "a longer value"}), Errc::no_space);
  EXPECT_EQ(run(AllocateArgs{.inode = file}), Errc::no_space);
  CommitArgs commit;
  commit.files = {{.inode = file, .extents = {extent}}};
  EXPECT_EQ(run(commit), Errc::no_space);
  EXPECT_EQ(run(CloneArgs{.source = file, .inode = other, .length = 1000}), Errc::no_space);
  EXPECT_EQ(look(client, "new"), Errc::not_found);
}

TEST_F(FullDisk, TellsOtherMistakesBeforeThatOne) {
  fill();
  EXPECT_EQ(run(CreateArgs{.parent = kRootInode, .name = "file", .exclusive = true}), Errc::exists);
  EXPECT_EQ(run(LinkArgs{file, kRootInode, "file"}), Errc::exists);
  EXPECT_EQ(run(SetXattrArgs{.inode = file, .name = "user.b", .replace_only = true}), Errc::no_data);
}

TEST_F(FullDisk, LetsEverythingElseGoOn) {
  make_file(client, "spare");
  fill();
  EXPECT_EQ(look(client, "file"), Errc::ok);
  EXPECT_EQ(run(CreateArgs{.parent = kRootInode, .name = "file", .open = true}), Errc::ok)
      << "it exists";
  EXPECT_EQ(run(SetXattrArgs{file, "user.a", "shorter"}), Errc::ok);
  EXPECT_EQ(run(RenameArgs{kRootInode, "file", kRootInode, "renamed"}), Errc::ok);
  EXPECT_EQ(run(RemoveXattrArgs{file, "user.a"}), Errc::ok);
  CommitArgs hole;
  hole.files = {{.inode = file, .holes = {{0, 500}}, .size_at_least = 2000}};
  EXPECT_EQ(run(hole), Errc::ok);
  SetAttrArgs truncate;
  truncate.inode = file;
  truncate.size = 0;
  truncate.mode = 0600;
  EXPECT_EQ(run(truncate), Errc::ok);
  EXPECT_EQ(run(ReleaseArgs{file}), Errc::ok);
  EXPECT_EQ(unlink(client, "renamed"), Errc::ok);
  EXPECT_EQ(unlink(client, "spare"), Errc::ok);
  EXPECT_EQ(run(SyncArgs{}), Errc::ok);
  const auto beat = heartbeat(1);
  ASSERT_TRUE(beat) << beat.error().to_string();
  EXPECT_EQ(beat->to_delete, std::vector<ChunkId>{extent.chunk}) << "the disks of others get empty";
}

TEST_F(FullDisk, PurgesFilesThatWereRemovedWhileTheyWereOpen) {
  const InodeId open = make_open_file(client, "open").inode;
  const Extent its = write_chunk(client, open);
  fill();
  ASSERT_EQ(unlink(client, "open"), Errc::ok);
  ASSERT_EQ(run(ReleaseArgs{open}), Errc::ok);
  clock.advance(config.orphan_grace);
  tick();
  EXPECT_EQ(stat(client, open), Errc::stale);
  EXPECT_EQ(heartbeat(1)->to_delete, std::vector<ChunkId>{its.chunk});
}

TEST_F(FullDisk, IsStartedOnAndJoined) {
  fill();
  restart();
  Client late = connect();
  EXPECT_EQ(look(late, "file"), Errc::ok);
  EXPECT_EQ(unlink(late, "file"), Errc::ok);
  EXPECT_TRUE(register_server(fresh_server(2)));
}

TEST_F(FullDisk, IsNoticedByWhatIsWrittenBetweenTwoLooks) {
  store.set_free_bytes(config.reserved_bytes + 1 * MiB);
  tick();
  store.set_free_bytes(config.reserved_bytes);
  int taken = 0;
  while (run(SetXattrArgs{file, "user." + std::to_string(taken), std::string(60'000, 'x')}) ==
         Errc::ok)
    ASSERT_LT(++taken, 30);
  EXPECT_EQ(taken, 18) << "a megabyte";
}

TEST_F(FullDisk, IsOverAsSoonAsThereIsRoom) {
  fill();
  const CoreRequest create = request(client, CreateArgs{.parent = kRootInode, .name = "new"});
  EXPECT_EQ(error_of(send(client, create)), Errc::no_space);
  store.set_free_bytes(config.reserved_bytes + 1);
  EXPECT_TRUE(send(client, create)) << "the same request, made again";
  EXPECT_EQ(look(client, "new"), Errc::ok);
}

}  // namespace
}  // namespace dfs
