// Formats, group commit and the limit of descriptors.
#include "server/storage/segment.h"

#include <condition_variable>
#include <thread>

#include "server/storage/segment_files.h"
#include "server/storage/segment_scan.h"
#include "server/storage/syncer.h"
#include "tests/support/no_free_descriptor.h"
#include "tests/unit/server/storage/store_fixture.h"

namespace dfs::storage {
namespace {

TEST(SegmentFormat, ReadsBackWhatItWroteAndNothingElse) {
  const SegmentHeader header{.number = 12, .salt = 0xabcdef, .sealed = true, .end = 1 << 20};
  auto bytes = encode(header);
  const auto back = decode_segment_header(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->number, 12u);
  EXPECT_EQ(back->salt, 0xabcdefu);
  EXPECT_TRUE(back->sealed);
  EXPECT_EQ(back->end, 1u << 20);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= std::byte{0x10};
    EXPECT_FALSE(decode_segment_header(bytes)) << i;
    bytes[i] ^= std::byte{0x10};
  }

  TestChunk chunk = make_chunk(9, 200'000);
  chunk.meta.written = 1'700'000'000'000'000'001;
  chunk.meta.scattered = true;
  auto record = encode(RecordHeader{.meta = chunk.meta, .serial = 5, .place = 8192, .salt = 7,
                                    .sums_checksum = 0},
                       chunk.sums);
  const auto record_back = decode_record_header(record);
  ASSERT_TRUE(record_back);
  EXPECT_EQ(record_back->meta, chunk.meta);
  EXPECT_EQ(record_back->sums_checksum, checksum_of_table(chunk.sums));
  for (std::size_t i = 0; i < record.size(); ++i) {
    record[i] ^= std::byte{0x10};
    EXPECT_FALSE(decode_record_header(record)) << i;
    record[i] ^= std::byte{0x10};
  }
}

TEST(SegmentFormat, ReadsRecordsOfBeforeTheyHadATime) {
  const TestChunk chunk = make_chunk(9, 200'000);
  auto record = encode(RecordHeader{.meta = chunk.meta, .serial = 5, .place = 8192, .salt = 7,
                                    .sums_checksum = 0},
                       chunk.sums);
  const auto as_version_one = [&](std::uint32_t blocks) {
    store_le(record.data() + 8, std::uint32_t{1});
    store_le(record.data() + 64, blocks);
    store_le(record.data() + 68, static_cast<std::uint32_t>(data_start(200'000)));
    store_le(record.data() + 80, checksum_of(BufferView(record).first(80)));
  };
  as_version_one(4);
  const auto back = decode_record_header(record);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->meta, chunk.meta);
  EXPECT_EQ(back->meta.written, 0);
  EXPECT_FALSE(back->meta.scattered);
  as_version_one(5);
  EXPECT_FALSE(decode_record_header(record)) << "its length does not make so many blocks";
}

TEST(SegmentFormat, TakesWholeBlocksAndWastesNoneOnSmallChunks) {
  EXPECT_EQ(record_bytes(1), 4096u);
  EXPECT_EQ(record_bytes(4000), 4096u);
  EXPECT_EQ(record_bytes(4001), 8192u);
  EXPECT_EQ(data_start(65536), 96u);
  EXPECT_EQ(data_start(65537), 4096u);
  EXPECT_EQ(record_bytes(8 << 20), (8u << 20) + 4096);
  EXPECT_EQ(data_start(64 << 20), 12288u);
}

TEST(Segment, SettlesOnlyBelowTheFirstUnreleasedRecord) {
  FakeDisk disk;
  Segment segment({.number = 1, .salt = 2}, *disk.create("/s"), kSegmentHeaderBytes, 64 * KiB);
  const auto first = segment.reserve(4096);
  const auto second = segment.reserve(8192);
  segment.release(*second);
  EXPECT_EQ(segment.settled_end(), *first);
  segment.release(*first);
  EXPECT_EQ(segment.settled_end(), segment.end());
  EXPECT_FALSE(segment.reserve(64 * KiB));
}

TEST(Segment, IsWrittenAheadWhileItIsSyncedOftenAndCutWhenItIsSealed) {
  FakeDisk disk;
  const std::shared_ptr<DiskFile> file = *disk.create("/s");
  Segment segment({.number = 1, .salt = 2}, file, kSegmentHeaderBytes, 64 * MiB);
  const std::vector<std::byte> record(8192, std::byte{7});
  const BufferView piece(record);
  std::uint64_t written_behind = 0;
  for (int i = 0; i < 300; ++i) {
    const auto place = segment.reserve(record.size());
    ASSERT_TRUE(place);
    written_behind += file->size().value() >= *place + record.size();
    ASSERT_TRUE(file->write(*place, {&piece, 1}));
    ASSERT_TRUE(segment.sync_through(segment.written()));
    segment.release(*place);
  }
  EXPECT_GT(written_behind, 250u) << "the record replaced zeros";
  for (std::uint64_t at = kSegmentHeaderBytes; at < segment.end(); at += record.size()) {
    std::vector<std::byte> back(record.size());
    ASSERT_EQ(file->read(at, back).value(), back.size());
    ASSERT_EQ(back, record) << "at " << at;
  }
  ASSERT_TRUE(segment.seal());
  EXPECT_EQ(file->size().value(), segment.end());
}

TEST(Segment, ServesAllWhoWaitWithOneSync) {
  FakeDisk disk;
  auto segment = std::make_shared<Segment>(SegmentHeader{.number = 1, .salt = 2}, *disk.create("/s"),
                                           kSegmentHeaderBytes, 1 * MiB);
  std::mutex mutex;
  std::condition_variable changed;
  bool go_on = false;
  int syncing = 0;
  disk.on_sync([&] {
    std::unique_lock lock(mutex);
    ++syncing;
    changed.notify_all();
    changed.wait(lock, [&] { return go_on; });
  });
  int done = 0;
  {
    Syncer syncer(100);
    const auto submit = [&] {
      const SyncTicket ticket = segment->written();
      syncer.submit({{segment, ticket}}, [&](Result<void> result) {
        EXPECT_TRUE(result);
        ++done;
      });
    };
    submit();
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return syncing == 1; });
    }
    for (int i = 0; i < 50; ++i) submit();
    const std::lock_guard lock(mutex);
    go_on = true;
    changed.notify_all();
  }
  EXPECT_EQ(done, 51);
  EXPECT_EQ(disk.count(FakeDisk::Operation::sync), 2) << "the first one, and one for the other fifty";
}

TEST(Segment, StaysFailedOnceASyncHasFailed) {
  FakeDisk disk;
  Segment segment({.number = 1, .salt = 2}, *disk.create("/s"), kSegmentHeaderBytes, 1 * MiB);
  const SyncTicket ticket = segment.written();
  disk.fail_next(FakeDisk::Operation::sync, Errc::io);
  EXPECT_EQ(segment.sync_through(ticket).error().code, Errc::io);
  EXPECT_EQ(segment.sync_through(ticket).error().code, Errc::io) << "a second fdatasync would lie";
}

TEST(Segment, StartsWritebackInRunsAndNothingTwice) {
  FakeDisk disk;
  Segment segment({.number = 1, .salt = 2}, *disk.create("/s"), kSegmentHeaderBytes, 64 * MiB);
  segment.reserve(7 * MiB);
  segment.start_writeback();
  EXPECT_EQ(disk.written_back(), 0u) << "not worth it yet";
  segment.reserve(2 * MiB);
  segment.start_writeback();
  segment.start_writeback();
  EXPECT_EQ(disk.written_back(), 9 * MiB);
}

TEST(Syncer, RefusesMoreThanItsQueueHolds) {
  Syncer syncer(0);
  Errc code = Errc::ok;
  syncer.submit({}, [&](Result<void> result) { code = result.error().code; });
  EXPECT_EQ(code, Errc::overloaded);
}

TEST(SegmentFiles, KeepsABoundedNumberOfDescriptors) {
  FakeDisk disk;
  SegmentFiles files(disk, "/segments", 3);
  for (std::uint32_t number = 1; number <= 10; ++number) ASSERT_TRUE(files.create(number));
  EXPECT_EQ(files.open_count(), 3u);
  for (std::uint32_t number = 1; number <= 10; ++number) ASSERT_TRUE(files.open(number));
  EXPECT_EQ(files.open_count(), 3u);
  EXPECT_EQ(parse_segment_file_name("0000000012.segment"), 12u);
  for (const char* name : {"12.segment", "000000001x.segment", "0000000012.segment~", "9999999999.segment"})
    EXPECT_FALSE(parse_segment_file_name(name)) << name;
}

TEST(SegmentFiles, ClosesFilesItKeepsOpenWhenDescriptorsAreShort) {
  FakeDisk disk;
  SegmentFiles files(disk, "/segments", 4);
  for (std::uint32_t number = 1; number <= 5; ++number) ASSERT_TRUE(files.create(number));
  ASSERT_EQ(files.open_count(), 4u);
  disk.fail_next(FakeDisk::Operation::open, Errc::overloaded);
  EXPECT_TRUE(files.open(1));
  EXPECT_EQ(files.open_count(), 3u);
  disk.fail_next(FakeDisk::Operation::create, Errc::overloaded);
  EXPECT_TRUE(files.create(6));
  EXPECT_EQ(files.open_count(), 2u);
  disk.fail_next(FakeDisk::Operation::open, Errc::overloaded, 2);
  EXPECT_EQ(files.open(2).error().code, Errc::overloaded);
}

TEST(SegmentFiles, LeavesNoFileBehindThatItCouldNotMake) {
  FakeDisk disk;
  SegmentFiles files(disk, "/segments", 4);
  disk.fail_next(FakeDisk::Operation::sync_directory, Errc::overloaded);
  EXPECT_EQ(files.create(1).error().code, Errc::overloaded);
  EXPECT_TRUE(files.create(1));
}

TEST(PosixDisk, TakesNoLackOfDescriptorsForAFailingDisk) {
  const TemporaryDirectory directory;
  PosixDisk disk;
  ASSERT_TRUE(disk.create(directory.path() / "there"));
  const NoFreeDescriptor meanwhile;
  EXPECT_EQ(disk.open(directory.path() / "there").error().code, Errc::overloaded);
  EXPECT_EQ(disk.create(directory.path() / "new").error().code, Errc::overloaded);
  EXPECT_EQ(disk.sync_directory(directory.path()).error().code, Errc::overloaded);
  EXPECT_EQ(disk.list(directory.path()).error().code, Errc::overloaded);
}

TEST(SegmentScan, IsNotFooledByACopyOfASegmentInsideAChunk) {
  FakeDisk disk;
  const auto file = *disk.create("/s");
  // A record whose data is itself a whole record, at a block border.
  const TestChunk inner = make_chunk(7, 4000);
  std::vector<std::byte> image(8192);
  const auto inner_header = encode(
      RecordHeader{.meta = inner.meta, .serial = 1, .place = 4096, .salt = 99, .sums_checksum = 0},
      inner.sums);
  std::memcpy(image.data(), inner_header.data(), inner_header.size());
  std::memcpy(image.data() + kRecordHeaderBytes, inner.sums.data(), 8);
  std::memcpy(image.data() + 96, inner.bytes.data(), inner.bytes.size());
  const BufferView pieces[] = {image};
  ASSERT_TRUE(file->write(3 * 4096, pieces));
  int found = 0;
  const ScanVisitor visitor{.record = [&](const RecordHeader&) -> Result<void> { ++found; return {}; },
                            .gap = [](const ScanGap&) -> Result<void> { return {}; }};
  ASSERT_TRUE(scan_segment(*file, {.salt = 5}, visitor));
  ASSERT_TRUE(scan_segment(*file, {.salt = 99}, visitor)) << "even of the same segment";
  EXPECT_EQ(found, 0);
  ASSERT_TRUE(file->write(4096, pieces));
  ASSERT_TRUE(scan_segment(*file, {.salt = 99}, visitor));
  EXPECT_EQ(found, 1);
}

}  // namespace
}  // namespace dfs::storage
