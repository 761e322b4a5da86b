// The promises of chunk_store.h, on the machine's disk and on a fake one.
#include "server/storage/chunk_store.h"

#include <sys/stat.h>

#include <thread>

#include "tests/unit/server/storage/store_fixture.h"

namespace dfs::storage {
namespace {

enum class Kind { fake, posix };

class ChunkStoreContract : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    options_.segment_bytes = 64 * MiB;
    options_.reserved_bytes = 1;
    options_.directory = GetParam() == Kind::fake ? std::filesystem::path("/store")
                                                  : directory_.path() / "store";
    open();
  }
  void open() {
    store_.reset();
    Disk& disk = GetParam() == Kind::fake ? static_cast<Disk&>(fake_) : posix_;
    auto opened = ChunkStore::open(
        disk, clock_, options_,
        [this](const std::filesystem::path& path, IndexStart start) -> Result<std::unique_ptr<KvStore>> {
          if (GetParam() == Kind::posix) return open_real_index(path, start);
          return std::make_unique<BorrowedKvStore>(rows_);
        });
    ASSERT_TRUE(opened) << opened.error().to_string();
    store_ = *std::move(opened);
  }

  TemporaryDirectory directory_;
  FakeClock clock_;
  FakeDisk fake_;
  PosixDisk posix_;
  MemoryKvStore rows_;
  ChunkStoreOptions options_;
  std::unique_ptr<ChunkStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Disks, ChunkStoreContract, testing::Values(Kind::fake, Kind::posix),
                         [](const auto& with) { return with.param == Kind::fake ? "Fake" : "Posix"; });

TEST_P(ChunkStoreContract, ReturnsTheBytesOfChunksOfEverySize) {
  const std::uint32_t lengths[] = {1,      4000,       4001,       4096,           65535,
                                   65536,  65537,      200 * 1024, 3 * 1024 * 1024, 8 << 20};
  std::vector<TestChunk> chunks;
  for (const std::uint32_t length : lengths) {
    chunks.push_back(make_chunk(chunks.size() + 1, length));
    ASSERT_TRUE(put(*store_, chunks.back()));
  }
  for (const TestChunk& chunk : chunks) EXPECT_EQ(look(*store_, chunk), "right");
  open();
  for (const TestChunk& chunk : chunks) EXPECT_EQ(look(*store_, chunk), "right");
}

TEST_P(ChunkStoreContract, ChecksWhatIsNotWholeBlocksItself) {
  const TestChunk chunk = make_chunk(1, 300'000);
  ASSERT_TRUE(put(*store_, chunk));
  const ReadRange range{70'001, 150'002};
  const auto read = store_->get(chunk.meta.chunk, range, ReadFrom::disk);
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->whole_blocks);
  ASSERT_EQ(read->checksums.size(), 1u);
  EXPECT_EQ(read->checksums[0], checksum_of(read->bytes));
  EXPECT_EQ(as_text(read->bytes), as_text(chunk.view().subspan(range.offset, range.length)));

  const auto blocks = store_->get(chunk.meta.chunk, {65536, 131072}, ReadFrom::disk);
  ASSERT_TRUE(blocks);
  EXPECT_TRUE(blocks->whole_blocks);
  EXPECT_EQ(blocks->checksums, std::vector(chunk.sums.begin() + 1, chunk.sums.begin() + 3));
}

TEST_P(ChunkStoreContract, RefusesRangesOutsideTheChunk) {
  const TestChunk chunk = make_chunk(1, 5000);
  ASSERT_TRUE(put(*store_, chunk));
  for (const ReadRange range : {ReadRange{0, 5001}, ReadRange{5000, 1}, ReadRange{0, 0},
                                ReadRange{4999, 0xffff'ffff}, ReadRange{0xffff'ffff, 2}}) {
    const auto read = store_->get(chunk.meta.chunk, range, ReadFrom::disk);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::invalid);
  }
}

TEST_P(ChunkStoreContract, StoresTheSameBytesTwiceButNeverOthersUnderTheSameId) {
  const TestChunk chunk = make_chunk(1, 100'000);
  ASSERT_TRUE(put(*store_, chunk));
  EXPECT_TRUE(put(*store_, chunk));
  const TestChunk other = make_chunk(1, 100'000, 77);
  const TestChunk shorter = make_chunk(1, 99'999);
  EXPECT_EQ(put(*store_, other).error().code, Errc::exists);
  EXPECT_EQ(put(*store_, shorter).error().code, Errc::exists);
  EXPECT_EQ(look(*store_, chunk), "right");
  EXPECT_EQ(store_->space()->chunks, 1u);
}

TEST_P(ChunkStoreContract, StoresNothingOfBytesThatDoNotMatchTheirChecksums) {
  TestChunk chunk = make_chunk(1, 100'000);
  chunk.bytes[70'000] ^= std::byte{1};
  EXPECT_EQ(put(*store_, chunk).error().code, Errc::corrupt);
  EXPECT_EQ(look(*store_, chunk), "not_found");
  ASSERT_TRUE(store_->begin(chunk.meta));
  const BufferView piece = chunk.view().first(65536);
  EXPECT_TRUE(store_->append(chunk.meta.chunk, 0, std::span(chunk.sums).first(1), {&piece, 1}));
  const BufferView rest = chunk.view().subspan(65536);
  EXPECT_EQ(store_->append(chunk.meta.chunk, 65536, std::span(chunk.sums).subspan(1), {&rest, 1}).error().code,
            Errc::corrupt);
  EXPECT_EQ(store_->have(chunk.meta.chunk).value(), 65536u);
}

TEST_P(ChunkStoreContract, TakesAChunkInPartsAndGoesOnWhereAnUploadBroke) {
  const TestChunk chunk = make_chunk(1, 3 * 1024 * 1024 + 17);
  EXPECT_EQ(store_->begin(chunk.meta).value(), 0u);
  EXPECT_EQ(append(*store_, chunk, 0, 1 << 20).value(), 1u << 20);
  EXPECT_EQ(look(*store_, chunk), "not_found") << "an unfinished chunk is not there";
  EXPECT_EQ(store_->finish(chunk.meta.chunk).error().code, Errc::bad_message);

  EXPECT_EQ(store_->begin(chunk.meta).value(), 1u << 20) << "somebody else goes on";
  EXPECT_EQ(append(*store_, chunk, 0, 1 << 20).value(), 1u << 20) << "a repeated part changes nothing";
  EXPECT_EQ(append(*store_, chunk, 2 << 20, 1 << 20).error().code, Errc::bad_message) << "a gap";
  EXPECT_EQ(append(*store_, chunk, 1 << 20, 2 << 20).value(), 3u << 20);
  EXPECT_EQ(append(*store_, chunk, 3 << 20, 17).value(), chunk.meta.length);
  EXPECT_TRUE(store_->finish(chunk.meta.chunk));
  EXPECT_TRUE(store_->finish(chunk.meta.chunk)) << "repeated";
  EXPECT_EQ(look(*store_, chunk), "right");
  EXPECT_EQ(store_->begin(chunk.meta).value(), chunk.meta.length) << "all of it is here";
  EXPECT_EQ(append(*store_, chunk, 0, 1 << 20).value(), chunk.meta.length);
  const TestChunk other = make_chunk(1, chunk.meta.length, 99);
  EXPECT_EQ(append(*store_, other, 0, 1 << 20).error().code, Errc::exists);
  open();
  EXPECT_EQ(look(*store_, chunk), "right");
}

TEST_P(ChunkStoreContract, FindsWhatWasStoredWholeWhileAnUploadWasUnderWay) {
  const TestChunk chunk = make_chunk(1, 1 << 20);
  ASSERT_TRUE(store_->begin(chunk.meta));
  ASSERT_TRUE(append(*store_, chunk, 0, 1 << 20));
  ASSERT_TRUE(put(*store_, chunk));
  EXPECT_TRUE(store_->finish(chunk.meta.chunk));
  EXPECT_EQ(look(*store_, chunk), "right");
  EXPECT_EQ(store_->space()->uploads, 0u);
  EXPECT_EQ(store_->space()->chunks, 1u);
}

TEST_P(ChunkStoreContract, TellsWhatARecordSaysOfItselfAndListsInOrder) {
  for (const std::uint64_t serial : {5, 2, 9}) ASSERT_TRUE(put(*store_, make_chunk(serial, 1000)));
  ASSERT_TRUE(store_->checkpoint());
  for (const std::uint64_t serial : {3, 12}) ASSERT_TRUE(put(*store_, make_chunk(serial, 2000)));
  EXPECT_EQ(store_->stat(ChunkId(GroupId{3}, 9)).value(), make_chunk(9, 1000).meta);
  EXPECT_EQ(store_->stat(ChunkId(GroupId{3}, 8)).error().code, Errc::not_found);

  std::vector<std::uint64_t> serials;
  const auto all = store_->list(ChunkId{0}, 100);
  ASSERT_TRUE(all);
  for (const auto& listed : *all) serials.push_back(listed.chunk.serial());
  EXPECT_EQ(serials, (std::vector<std::uint64_t>{2, 3, 5, 9, 12}));
  const auto page = store_->list(ChunkId(GroupId{3}, 3), 2);
  ASSERT_EQ(page->size(), 2u);
  EXPECT_EQ((*page)[1].chunk.serial(), 5u);
}

TEST_P(ChunkStoreContract, ForgetsErasedChunksForGood) {
  const TestChunk gone = make_chunk(1, 100'000);
  const TestChunk kept = make_chunk(2, 100'000);
  const TestChunk young = make_chunk(3, 5000);
  ASSERT_TRUE(put(*store_, gone));
  ASSERT_TRUE(put(*store_, kept));
  ASSERT_TRUE(store_->checkpoint());
  ASSERT_TRUE(put(*store_, young));
  const ChunkId ids[] = {young.meta.chunk, gone.meta.chunk, ChunkId(GroupId{3}, 777), gone.meta.chunk};
  ASSERT_TRUE(store_->erase(ids));
  ASSERT_TRUE(store_->erase(ids)) << "again is no error";
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(look(*store_, gone), "not_found");
    EXPECT_EQ(look(*store_, young), "not_found");
    EXPECT_EQ(look(*store_, kept), "right");
    EXPECT_EQ(store_->space()->chunks, 1u);
    open();
  }
  EXPECT_TRUE(put(*store_, gone)) << "it may come back";
  EXPECT_EQ(look(*store_, gone), "right");
}

TEST_P(ChunkStoreContract, SyncsOnlyWhatIsHere) {
  const TestChunk chunk = make_chunk(1, 5000);
  ASSERT_TRUE(put(*store_, chunk));
  const ChunkId known[] = {chunk.meta.chunk};
  EXPECT_TRUE(store_->sync(known));
  EXPECT_TRUE(store_->sync(known)) << "stable already";
  const ChunkId unknown[] = {chunk.meta.chunk, ChunkId(GroupId{3}, 2)};
  EXPECT_EQ(store_->sync(unknown).error().code, Errc::not_found);
}

TEST_P(ChunkStoreContract, KeepsItsPromisesToManyThreads) {
  options_.segment_bytes = 4 * MiB;
  options_.young_chunks_max = 20;
  open();
  constexpr std::uint64_t kThreads = 4, kEach = 60;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        // Neighbouring threads store the same chunks.
        const TestChunk chunk = make_chunk(t / 2 * kEach + i + 1, 2000 + 900 * (i % 90));
        EXPECT_TRUE(put(*store_, chunk));
        EXPECT_EQ(look(*store_, chunk), "right");
        const ChunkId ids[] = {chunk.meta.chunk};
        if (i % 7 == t) {
          EXPECT_TRUE(store_->sync(ids));
        }
        if (store_->wants_checkpoint()) {
          EXPECT_TRUE(store_->checkpoint());
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store_->space()->chunks, kThreads / 2 * kEach);
  open();
  for (std::uint64_t serial = 1; serial <= kThreads / 2 * kEach; ++serial)
    EXPECT_EQ(look(*store_, make_chunk(serial, 2000 + 900 * ((serial - 1) % kEach % 90))), "right");
}

// --- what only a real file system shows ------------------------------------------------

std::uint64_t blocks_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

class PosixChunkStore : public testing::Test {
 protected:
  void open() {
    store_.reset();
    auto opened = ChunkStore::open(disk_, clock_, options_, open_real_index);
    ASSERT_TRUE(opened) << opened.error().to_string();
    store_ = *std::move(opened);
  }
  void SetUp() override {
    options_.directory = directory_.path();
    options_.segment_bytes = 16 * MiB;
    options_.reserved_bytes = 1;
    open();
  }
  std::filesystem::path segment(std::uint32_t number) const {
    return options_.directory / "segments" / segment_file_name(number);
  }

  TemporaryDirectory directory_;
  FakeClock clock_;
  PosixDisk disk_;
  ChunkStoreOptions options_;
  std::unique_ptr<ChunkStore> store_;
};

TEST_F(PosixChunkStore, GivesSpaceBackAtOnceWhenChunksAreErased) {
  std::vector<ChunkId> small;
  for (std::uint64_t serial = 1; serial <= 100; ++serial) {
    const TestChunk chunk = make_chunk(serial, 4096);
    ASSERT_TRUE(put(*store_, chunk));
    small.push_back(chunk.meta.chunk);
  }
  const TestChunk kept = make_chunk(1000, 4096);
  ASSERT_TRUE(put(*store_, kept));
  ASSERT_TRUE(store_->checkpoint());
  const std::uint64_t before = blocks_of(segment(1));
  EXPECT_GE(before, 101u * 8192);
  ASSERT_TRUE(store_->erase(small));
  EXPECT_LE(blocks_of(segment(1)), before - 100 * 8192) << "headers included";
  EXPECT_EQ(look(*store_, kept), "right");
}

TEST_F(PosixChunkStore, RemovesASegmentInWhichNothingLives) {
  std::vector<ChunkId> ids;
  for (std::uint64_t serial = 1; serial <= 12; ++serial) {  // 16 MiB hold seven of them
    const TestChunk chunk = make_chunk(serial, 2 << 20);
    ASSERT_TRUE(put(*store_, chunk));
    ids.push_back(chunk.meta.chunk);
  }
  ASSERT_TRUE(store_->checkpoint());
  ASSERT_TRUE(std::filesystem::exists(segment(1)));
  ASSERT_TRUE(store_->erase(ids));
  EXPECT_FALSE(std::filesystem::exists(segment(1)));
  EXPECT_TRUE(std::filesystem::exists(segment(2))) << "it is still being filled";
  open();
  EXPECT_EQ(store_->space()->chunks, 0u);
}

TEST_F(PosixChunkStore, RebuildsALostIndexBySegmentsAlone) {
  for (std::uint64_t serial = 1; serial <= 40; ++serial)
    ASSERT_TRUE(put(*store_, make_chunk(serial, serial % 4 == 0 ? 1'500'000 : 3000)));
  const ChunkId gone[] = {ChunkId(GroupId{3}, 8), ChunkId(GroupId{3}, 9)};
  ASSERT_TRUE(store_->erase(gone));
  store_.reset();
  std::filesystem::remove_all(options_.directory / "index");
  open();
  for (std::uint64_t serial = 1; serial <= 40; ++serial) {
    EXPECT_EQ(look(*store_, make_chunk(serial, serial % 4 == 0 ? 1'500'000 : 3000)),
              serial == 8 || serial == 9 ? "not_found" : "right")
        << serial;
  }
}

TEST_F(PosixChunkStore, RebuildsADamagedIndex) {
  ASSERT_TRUE(put(*store_, make_chunk(1, 3000)));
  store_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(options_.directory / "index")) {
    if (entry.path().filename().string().starts_with("MANIFEST"))
      std::filesystem::resize_file(entry.path(), 20);
  }
  open();
  EXPECT_EQ(look(*store_, make_chunk(1, 3000)), "right");
}

TEST_F(PosixChunkStore, SaysThatBytesAreNotInMemoryInsteadOfWaiting) {
  const TestChunk chunk = make_chunk(1, 50'000);
  ASSERT_TRUE(put(*store_, chunk));
  const auto read = store_->get(chunk.meta.chunk, {0, 50'000}, ReadFrom::memory);
  ASSERT_TRUE(read) << "it was just written";
  EXPECT_EQ(as_text(read->bytes), as_text(chunk.view()));
}

}  // namespace
}  // namespace dfs::storage
