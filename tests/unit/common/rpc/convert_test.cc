#include "common/rpc/convert.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "common/rpc/protocol.h"

namespace dfs {
namespace {

const ChunkId kChunk{GroupId{3}, 17};

Attributes some_attributes(std::uint64_t inode) {
  Attributes attributes;
  attributes.inode = InodeId{inode};
  attributes.type = FileType::character_device;
  attributes.mode = 07751;
  attributes.uid = 1;
  attributes.gid = 2;
  attributes.nlink = 3;
  attributes.size = kFileSizeMax;
  attributes.rdev = 5;
  attributes.atime = -6;
  attributes.mtime = 7;
  attributes.ctime = 8;
  attributes.btime = 9;
  attributes.allocated = 10;
  attributes.generation = 11;
  attributes.change = 12;
  attributes.data_change = 13;
  attributes.chunk_size = kChunkSizeDefault;
  attributes.replicas = 14;
  attributes.xattrs = 15;
  attributes.consistency = Consistency::relaxed;
  attributes.lease = LeaseKind::write;
  attributes.provisional = true;
  return attributes;
}

CommitFile some_file(std::vector<Extent> extents, std::vector<FileRange> holes = {}) {
  CommitFile file;
  file.inode = InodeId{10};
  file.extents = std::move(extents);
  file.holes = std::move(holes);
  return file;
}

SetAttrArgs some_change(std::optional<std::uint32_t> mode, std::optional<std::uint64_t> size) {
  SetAttrArgs args;
  args.inode = InodeId{1};
  args.mode = mode;
  args.size = size;
  return args;
}

// Both ways and back: equal bytes on the wire mean that nothing was lost.
void expect_round_trip(const MetaArgs& args) {
  v1::Request first;
  to_proto(args, first);
  v1::Request sent;
  ASSERT_TRUE(sent.ParseFromString(first.SerializeAsString()));
  const Result<MetaArgs> back = from_proto(std::move(sent));
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_EQ(back->index(), args.index());
  v1::Request second;
  to_proto(*back, second);
  EXPECT_EQ(first.DebugString(), second.DebugString());
}

void expect_round_trip(const MetaResult& result) {
  v1::Response first;
  to_proto(Result<MetaResult>(result), first);
  v1::Response sent;
  ASSERT_TRUE(sent.ParseFromString(first.SerializeAsString()));
  const Result<MetaResult> back = from_proto(std::move(sent));
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_EQ(back->index(), result.index());
  v1::Response second;
  to_proto(*back, second);
  EXPECT_EQ(first.DebugString(), second.DebugString());
}

CommitArgs some_commit() {
  CommitFile file;
  file.inode = InodeId{9};
  file.extents = {{0, 100, kChunk, 5}, {1 << 20, 7, kChunk, 0}};
  file.holes = {{200, 300}};
  file.size_at_least = 1 << 21;
  file.mtime = 77;
  file.clear_set_id = true;
  CommitArgs commit;
  commit.files = {file, some_file({})};
  commit.sync = true;
  commit.placements = {{kChunk, 4096, {ServerId{2}, ServerId{3}}}};
  return commit;
}

FileLock some_lock() {
  return {LockFamily::posix, LockKind::exclusive, ~std::uint64_t{0} - 5, 100, kLockEndMax, 4321};
}

TEST(Convert, CarriesEveryOperationWithoutLoss) {
  const InodeId inode{42};
  const std::string name("na\xc3\xafve \n name");
  const MetaArgs all[] = {
      LookupArgs{inode, ".."},
      GetAttrArgs{inode},
      SetAttrArgs{inode, 0644, 1, 2, 3, -4, 5, 6, true, true, true},
      some_change(std::nullopt, std::nullopt),
      TouchArgs{{{inode, -5, 6}, {InodeId{43}, 7, 8}}},
      AcquireLeaseArgs{inode, LeaseKind::write},
      ReturnLeasesArgs{{{inode, LeaseKind::read, 1, 2}, {InodeId{43}, LeaseKind::none, 3, 0}}, true},
      HoldArgs{inode, 2},
      DrainServerArgs{ServerId{3}, true},
      CreateArgs{inode, name, FileType::regular, 0640, 0, true, true, true, 022},
      CreateArgs{inode, name, FileType::block_device, 0600, 0x801},
      CreateArgs{inode, "", FileType::regular, 0600, 0, false, true, false, 022, true},
      SymlinkArgs{inode, name, std::string(kSymlinkMax, 't')},
      ReadlinkArgs{inode},
      LinkArgs{inode, InodeId{1}, name},
      UnlinkArgs{inode, name, true},
      RenameArgs{inode, name, InodeId{2}, "b", true, false},
      RenameArgs{inode, name, InodeId{2}, "b", false, true},
      ReadDirArgs{inode, 99, 10},
      StatFsArgs{},
      SetXattrArgs{inode, "user.a/b", std::string("\0x", 2), true, false, true},
      GetXattrArgs{inode, "user.a"},
      ListXattrArgs{inode},
      RemoveXattrArgs{inode, "user.a"},
      OpenArgs{inode, true},
      ReleaseArgs{inode, 3},
      GetExtentsArgs{inode, 1 << 30, 12},
      some_commit(),
      AllocateArgs{inode, 64, {ServerId{1}}},
      SyncArgs{},
      ClusterStatusArgs{},
      KeepAliveArgs{{4096, 700}},
      ReportArgs{kChunk, ServerId{4}, {Errc::corrupt, "bad"}},
      SetPolicyArgs{inode, 2, 1 << 20},
      SetPolicyArgs{inode, 0, std::nullopt},
      SetPolicyArgs{inode, std::nullopt, 0},
      GetPolicyArgs{inode},
      CloneArgs{inode, 1 << 20, InodeId{43}, 1 << 30, 77, -5, true},
      SetLockArgs{inode, some_lock(), true, 7},
      SetLockArgs{inode, {LockFamily::flock, LockKind::unlocked, 1, 0, kLockEndMax, 0}, false, 8},
      GetLockArgs{inode, some_lock()},
      CancelLockArgs{~std::uint64_t{0}},
  };
  std::set<std::size_t> seen;
  for (const MetaArgs& args : all) {
    expect_round_trip(args);
    seen.insert(args.index());
  }
  EXPECT_EQ(seen.size(), std::variant_size_v<MetaArgs>);
}

GroupTable some_table() {
  GroupTable table;
  table.version = 5;
  table.groups[GroupId{1}] = {
      GroupId{1}, "replicated:2", Epoch{3},
      {{ServerId{1}, MemberState::active}, {ServerId{2}, MemberState::leaving}}};
  ServerInfo server;
  server.server = ServerId{1};
  server.address = "10.0.0.1:7400";
  server.local_socket = "/run/dfs/x.sock";
  server.machine = "boot";
  server.alive = true;
  server.labels = {{"rack", "a"}};
  server.capacity = 6;
  server.available = 7;
  server.chunks = 8;
  table.servers[ServerId{1}] = server;
  return table;
}

TEST(Convert, CarriesEveryResultWithoutLoss) {
  const Attributes attributes = some_attributes(3);
  const MetaResult all[] = {
      EmptyResult{},
      EntryResult{attributes, some_attributes(4)},
      EntryResult{attributes, std::nullopt},
      EntryResult{{}, std::nullopt, /*absent=*/true, LeaseKind::read},
      AttributesResult{attributes},
      ReadlinkResult{"target"},
      RemovedResult{some_attributes(1), some_attributes(2), attributes, some_attributes(5)},
      RemovedResult{std::nullopt, std::nullopt, attributes, std::nullopt},
      ReadDirResult{{{"a", attributes, 1}, {"b", attributes, 2}}, true, InodeId{1}, LeaseKind::read},
      StatFsResult{1, 2, 3},
      XattrResult{"value", {"user.a", "user.b"}},
      OpenResult{attributes, {{0, 10, kChunk, 0}, {10, 5, kChunk, 10}}, true, attributes, true},
      ExtentsResult{{{8, 1, kChunk, 0}}, true, 6},
      AllocateResult{{{kChunk, 64, "capability", 123}}},
      ClusterStatusResult{"c", "0.1", 5, some_table(),
                          {{SessionId{1}, "dfs", "h", "p", 2, 3, 4, true, 5, {6, 7}}},
                          1, 2, 3, 4, 5, 6, 7, {{SessionId{8}, "dfs", "h", "p", 9, "why"}}, 10,
                          {1, 2, 3, 4, 5, 6, 7, {kChunk}, {{ServerId{8}, "out", 9}}, {"note"}, {1, 2, 3, 4, 5}}},
      CommitResult{{attributes, some_attributes(8)}},
      PolicyResult{2, 1 << 20, 0, 1 << 20},
      CloneResult{attributes, 9},
      LockResult{some_lock(), SessionId{9}},
      LockResult{},
  };
  std::set<std::size_t> seen;
  for (const MetaResult& result : all) {
    expect_round_trip(result);
    seen.insert(result.index());
  }
  EXPECT_EQ(seen.size(), std::variant_size_v<MetaResult>);
}

TEST(Convert, SaysOfEachLeaseWithWhichGrantItCame) {
  Attributes with = some_attributes(3);
  Attributes without = some_attributes(4);
  without.lease = LeaseKind::none;
  v1::Response response;
  to_proto(Result<MetaResult>(EntryResult{with, without, false, LeaseKind::read}), response);
  response.set_lease_order(77);
  const Result<MetaResult> back = from_proto(std::move(response));
  ASSERT_TRUE(back);
  const auto& entry = std::get<EntryResult>(*back);
  EXPECT_EQ(entry.attributes.lease_order, 77u);
  EXPECT_EQ(entry.parent->lease_order, 0u);
  EXPECT_EQ(entry.parent_lease_order, 77u);
}

TEST(Convert, CarriesErrorsAndMakesUnknownCodesInternal) {
  v1::Response response;
  to_proto(Result<MetaResult>(fail(Errc::not_empty, "why")), response);
  const Result<MetaResult> back = from_proto(std::move(response));
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, Errc::not_empty);
  EXPECT_EQ(back.error().text, "why");

  for (const std::uint32_t code : {0u, 30u, 63u, 74u, 1u << 31}) {
    v1::Error message;
    message.set_code(code);
    message.set_text("t");
    EXPECT_EQ(from_proto(message).code, Errc::internal) << code;
    EXPECT_EQ(from_proto(message).text, "t");
  }
}

Errc refusal_of(v1::Request request) {
  const Result<MetaArgs> args = from_proto(std::move(request));
  return args ? Errc::ok : args.error().code;
}
Errc refusal_of(const MetaArgs& args) {
  v1::Request request;
  to_proto(args, request);
  return refusal_of(std::move(request));
}

TEST(Convert, CarriesSentencesThatQuoteNamesOfAnyBytes) {
  v1::Response message;
  to_proto(Result<MetaResult>(fail(Errc::not_found, "no attribute user.\xff\xfe")), message);
  v1::Response received;
  ASSERT_TRUE(received.ParseFromString(message.SerializeAsString()));
  EXPECT_EQ(from_proto(std::move(received)).error().text, "no attribute user.\xff\xfe");

  v1::Hello hello;
  hello.set_place("/mnt/\xe9t\xe9");
  v1::Hello heard;
  ASSERT_TRUE(heard.ParseFromString(hello.SerializeAsString()));
  EXPECT_EQ(heard.place(), "/mnt/\xe9t\xe9");
}

TEST(Convert, RefusesBadNames) {
  const InodeId inode{1};
  EXPECT_EQ(refusal_of(LookupArgs{inode, ""}), Errc::bad_message);
  EXPECT_EQ(refusal_of(LookupArgs{inode, "a/b"}), Errc::bad_message);
  EXPECT_EQ(refusal_of(LookupArgs{inode, std::string("a\0b", 3)}), Errc::bad_message);
  EXPECT_EQ(refusal_of(LookupArgs{inode, std::string(256, 'x')}), Errc::name_too_long);
  EXPECT_EQ(refusal_of(LookupArgs{inode, std::string(255, 'x')}), Errc::ok);
  EXPECT_EQ(refusal_of(UnlinkArgs{inode, ".."}), Errc::bad_message);
  EXPECT_EQ(refusal_of(RenameArgs{inode, "a", inode, "."}), Errc::bad_message);
  EXPECT_EQ(refusal_of(SetXattrArgs{inode, std::string(256, 'x'), ""}), Errc::range);
  EXPECT_EQ(refusal_of(SetXattrArgs{inode, "a", std::string(kXattrValueMax + 1, 'x')}),
            Errc::too_big);
  EXPECT_EQ(refusal_of(SymlinkArgs{inode, "a", std::string(kSymlinkMax + 1, 'x')}),
            Errc::name_too_long);
}

TEST(Convert, RefusesWhatNoClientOfOursSends) {
  const InodeId inode{1};
  EXPECT_EQ(refusal_of(v1::Request{}), Errc::bad_message);
  EXPECT_EQ(refusal_of(GetAttrArgs{}), Errc::bad_message);
  EXPECT_EQ(refusal_of(some_change(0100644, std::nullopt)), Errc::bad_message);
  EXPECT_EQ(refusal_of(some_change(std::nullopt, kFileSizeMax + 1)), Errc::bad_message);
  EXPECT_EQ(refusal_of(ReleaseArgs{inode, 0}), Errc::bad_message);
  EXPECT_EQ(refusal_of(AllocateArgs{inode, kChunksPerAllocationMax + 1, {}}), Errc::bad_message);
  EXPECT_EQ(refusal_of(RenameArgs{inode, "a", inode, "b", true, true}), Errc::invalid);
  EXPECT_EQ(refusal_of(CreateArgs{inode, "a", FileType::directory, 0, 0, false, true}),
            Errc::bad_message);
  EXPECT_EQ(refusal_of(CreateArgs{inode, "", FileType::regular, 0, 0, false, true}),
            Errc::bad_message);
  EXPECT_EQ(refusal_of(CreateArgs{inode, "", FileType::regular, 0, 0, false, false, false, 0, true}),
            Errc::bad_message)
      << "without a name and held by nobody";
  v1::Request strange_type;
  strange_type.mutable_create()->set_parent(1);
  strange_type.mutable_create()->set_name("a");
  strange_type.mutable_create()->set_type(static_cast<v1::FileType>(99));
  EXPECT_EQ(refusal_of(strange_type), Errc::bad_message);
}

TEST(Convert, RefusesExtentsThatOverflow) {
  const auto with = [](Extent extent) {
    CommitArgs commit;
    commit.files = {some_file({extent})};
    return refusal_of(commit);
  };
  EXPECT_EQ(with({kFileSizeMax - 10, 10, kChunk, 0}), Errc::ok);
  EXPECT_EQ(with({kFileSizeMax - 10, 11, kChunk, 0}), Errc::bad_message);
  EXPECT_EQ(with({~std::uint64_t{0}, 1, kChunk, 0}), Errc::bad_message);
  EXPECT_EQ(with({0, 0, kChunk, 0}), Errc::bad_message);
  EXPECT_EQ(with({0, 1, ChunkId{}, 0}), Errc::bad_message);
  EXPECT_EQ(with({0, 1, kChunk, kChunkSizeMax}), Errc::bad_message);
  EXPECT_EQ(with({0, 2, kChunk, ~std::uint32_t{0}}), Errc::bad_message);
  CommitArgs holes;
  holes.files = {some_file({}, {{1, kFileSizeMax}})};
  EXPECT_EQ(refusal_of(holes), Errc::bad_message);
}

TEST(Convert, RefusesClonesOfRangesThatCannotBe) {
  const InodeId inode{1};
  EXPECT_EQ(refusal_of(CloneArgs{inode, kFileSizeMax - 1, inode, 0, 1}), Errc::ok);
  EXPECT_EQ(refusal_of(CloneArgs{inode, kFileSizeMax, inode, 0, 1}), Errc::bad_message);
  EXPECT_EQ(refusal_of(CloneArgs{inode, 0, inode, kFileSizeMax, 1}), Errc::bad_message);
  EXPECT_EQ(refusal_of(CloneArgs{inode, 0, inode, 0, 0}), Errc::bad_message);
  EXPECT_EQ(refusal_of(CloneArgs{inode, 0, InodeId{}, 0, 1}), Errc::bad_message);
  EXPECT_EQ(refusal_of(CloneArgs{InodeId{}, 0, inode, 0, 1}), Errc::bad_message);
}

Errc refusal_of_lock(FileLock lock) {
  return refusal_of(SetLockArgs{InodeId{1}, lock, false, 1});
}

TEST(Convert, RefusesLocksThatNoKernelAsksFor) {
  EXPECT_EQ(refusal_of_lock(some_lock()), Errc::ok);
  FileLock lock = some_lock();
  lock.start = lock.end;
  EXPECT_EQ(refusal_of_lock(lock), Errc::bad_message);
  lock = some_lock();
  lock.end = kLockEndMax + 1;
  EXPECT_EQ(refusal_of_lock(lock), Errc::bad_message);
  lock = some_lock();
  lock.family = LockFamily::flock;
  EXPECT_EQ(refusal_of_lock(lock), Errc::bad_message) << "a part of a file";
  lock = some_lock();
  lock.kind = static_cast<LockKind>(9);
  EXPECT_EQ(refusal_of_lock(lock), Errc::bad_message);
  lock = some_lock();
  lock.family = static_cast<LockFamily>(0);
  EXPECT_EQ(refusal_of_lock(lock), Errc::bad_message);
  EXPECT_EQ(refusal_of(SetLockArgs{InodeId{1}, some_lock(), false, 0}), Errc::bad_message);
  EXPECT_EQ(refusal_of(CancelLockArgs{}), Errc::bad_message);
  lock = some_lock();
  lock.kind = LockKind::unlocked;
  EXPECT_EQ(refusal_of(GetLockArgs{InodeId{1}, lock}), Errc::bad_message);
  v1::HeldLock held;
  to_proto(HeldLock{InodeId{1}, lock}, held);
  EXPECT_FALSE(from_proto(held)) << "held and unlocked";
}

TEST(Convert, RefusesMoreAccessTimesThanOneMessageMayHave) {
  TouchArgs touch;
  touch.times.assign(kAccessTimesPerTouchMax, {InodeId{1}, 0, 1});
  EXPECT_EQ(refusal_of(touch), Errc::ok);
  touch.times.push_back({InodeId{1}, 0, 1});
  EXPECT_EQ(refusal_of(touch), Errc::bad_message);
  EXPECT_EQ(refusal_of(TouchArgs{{{InodeId{0}, 0, 1}}}), Errc::bad_message);
}

TEST(Convert, RefusesMoreExtentsThanACommitMayHave) {
  CommitArgs commit;
  commit.files = {some_file({})};
  commit.files[0].extents.assign(kExtentsPerCommitMax, {0, 1, kChunk, 0});
  EXPECT_EQ(refusal_of(commit), Errc::ok);
  commit.files[0].holes = {{0, 1}};
  EXPECT_EQ(refusal_of(commit), Errc::bad_message);
}

TEST(Convert, BoundsWhatOneListingMayAskFor) {
  v1::Request request;
  to_proto(ReadDirArgs{InodeId{1}, 0, ~std::uint32_t{0}}, request);
  const Result<MetaArgs> args = from_proto(std::move(request));
  ASSERT_TRUE(args);
  EXPECT_EQ(std::get<ReadDirArgs>(*args).entries_max, kEntriesPerReplyMax);
}

TEST(Convert, RefusesAnswersThatBreakTheRules) {
  const auto refused = [](const MetaResult& result) {
    v1::Response response;
    to_proto(Result<MetaResult>(result), response);
    const auto back = from_proto(std::move(response));
    return !back && back.error().code == Errc::bad_message;
  };
  EXPECT_TRUE(refused(AttributesResult{}));
  Attributes too_many_copies = some_attributes(1);
  too_many_copies.replicas = 65;
  EXPECT_TRUE(refused(AttributesResult{too_many_copies}));
  EXPECT_TRUE(refused(ExtentsResult{{{0, 10, kChunk, 0}, {9, 1, kChunk, 0}}, true, 0}));
  EXPECT_TRUE(refused(ReadDirResult{{{"", some_attributes(1), 1}}, true, InodeId{1}}));
  EXPECT_TRUE(refused(AllocateResult{{{ChunkId{GroupId{1}, ChunkId::kSerialMax}, 2, "", 0}}}));
  const auto empty = from_proto(v1::Response{});
  EXPECT_FALSE(empty);
}

TEST(Convert, RefusesATableThatNamesAGroupTwice) {
  v1::GroupTable message;
  to_proto(some_table(), message);
  ASSERT_TRUE(from_proto(message));
  *message.add_groups() = message.groups(0);
  EXPECT_FALSE(from_proto(message));
}

TEST(Convert, NeverCrashesOnRandomBytes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  std::vector<std::string> all;
  for (const MetaArgs& args : {MetaArgs(some_commit()),
                               MetaArgs(SetLockArgs{InodeId{1}, some_lock(), true, 7})}) {
    v1::Request valid;
    to_proto(args, valid);
    all.push_back(valid.SerializeAsString());
  }
  for (int round = 0; round < 40'000; ++round) {
    std::string hostile = all[round % all.size()];
    for (int flips = 0; flips < 4; ++flips)
      hostile[random() % hostile.size()] = static_cast<char>(random());
    v1::Request request;
    if (!request.ParseFromString(hostile)) continue;
    const Result<MetaArgs> args = from_proto(std::move(request));
    const auto* commit = args ? std::get_if<CommitArgs>(&*args) : nullptr;
    if (commit != nullptr) {
      for (const CommitFile& file : commit->files)
        for (const Extent& extent : file.extents) EXPECT_LE(extent.end(), kFileSizeMax);
    }
    const auto* set = args ? std::get_if<SetLockArgs>(&*args) : nullptr;
    if (set != nullptr) {
      EXPECT_LT(set->lock.start, set->lock.end);
    }
  }
}

TEST(Convert, KnowsWhatChangesTheNamespace) {
  EXPECT_TRUE(is_mutation(CommitArgs{}));
  EXPECT_TRUE(is_mutation(CloneArgs{}));
  EXPECT_TRUE(is_mutation(CreateArgs{}));
  EXPECT_TRUE(is_mutation(OpenArgs{InodeId{1}, true}));
  EXPECT_FALSE(is_mutation(OpenArgs{InodeId{1}, false}));
  EXPECT_FALSE(is_mutation(LookupArgs{}));
  EXPECT_FALSE(is_mutation(ReleaseArgs{}));
  EXPECT_FALSE(is_mutation(ReportArgs{}));
  EXPECT_FALSE(is_mutation(AllocateArgs{}));
  EXPECT_FALSE(is_mutation(SetLockArgs{}));
  EXPECT_FALSE(is_mutation(TouchArgs{}));
  EXPECT_FALSE(is_mutation(AcquireLeaseArgs{}));
  EXPECT_FALSE(is_mutation(ReturnLeasesArgs{}));
  EXPECT_FALSE(is_mutation(HoldArgs{}));
  EXPECT_FALSE(is_mutation(DrainServerArgs{}));
}

}  // namespace
}  // namespace dfs
