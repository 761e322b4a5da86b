#include "common/client/dirty_file.h"

#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace dfs {
namespace {

constexpr std::uint32_t kChunk = 256 * KiB;
const SteadyTime kNow{};

class DirtyFileTest : public ::testing::Test {
 protected:
  std::vector<PendingChunkPtr> write(std::uint64_t offset, std::size_t length, std::uint8_t fill) {
    const std::vector<std::byte> data(length, std::byte{fill});
    return write(offset, data);
  }
  std::vector<PendingChunkPtr> write(std::uint64_t offset, BufferView data) {
    std::vector<PendingChunkPtr> sealed;
    BlockList fresh(buffer_);
    EXPECT_TRUE(buffer_.try_take(file_.blocks_needed(offset, data.size(), kChunk), fresh));
    file_.write(offset, data, kChunk, kNow, fresh, sealed);
    return sealed;
  }
  std::size_t chunks_in(ChunkPhase phase) const {
    std::size_t count = 0;
    for (const auto& chunk : file_.chunks()) count += chunk->phase == phase ? 1 : 0;
    return count;
  }

  WriteBuffer buffer_{16 * MiB};
  DirtyFile file_{buffer_};
};

TEST_F(DirtyFileTest, CutsASequentialWriteAtChunkBordersOfTheFile) {
  // Starts in the middle of a chunk.
  std::vector<PendingChunkPtr> sealed;
  for (std::uint64_t at = 100 * KiB; at < 700 * KiB; at += 4 * KiB) {
    for (const auto& chunk : write(at, 4 * KiB, 1)) sealed.push_back(chunk);
  }
  ASSERT_EQ(sealed.size(), 2U);
  EXPECT_EQ(sealed[0]->file_offset, 100 * KiB);
  EXPECT_EQ(sealed[0]->length(), 156 * KiB);
  EXPECT_EQ(sealed[1]->file_offset, 256 * KiB);
  EXPECT_EQ(sealed[1]->length(), kChunk);
  EXPECT_EQ(chunks_in(ChunkPhase::open), 1U);
}

TEST_F(DirtyFileTest, PacksScatteredSmallWritesIntoWholeChunks) {
  std::vector<PendingChunkPtr> sealed;
  for (std::uint64_t i = 0; i < 128; ++i) {
    for (const auto& chunk : write(i * 1 * MiB + 8 * KiB, 4 * KiB, 1)) sealed.push_back(chunk);
  }
  ASSERT_EQ(sealed.size(), 2U);
  EXPECT_EQ(sealed[0]->length(), kChunk);
  EXPECT_EQ(file_.ranges().size(), 128U);
}

TEST_F(DirtyFileTest, KeepsStreamsThatAreWrittenAtTheSameTimeApart) {
  for (std::uint64_t i = 0; i < 2; ++i) {
    write(0 * MiB + i * 64 * KiB, 64 * KiB, 1);
    write(8 * MiB + i * 64 * KiB, 64 * KiB, 2);
  }
  EXPECT_EQ(file_.chunks().size(), 2U);
  EXPECT_EQ(file_.ranges().size(), 2U);
}

TEST_F(DirtyFileTest, OverwritesInPlaceWhatIsStillOpen) {
  write(0, 10000, 1);
  for (int i = 0; i < 1000; ++i) write(4096, 512, static_cast<std::uint8_t>(i));
  ASSERT_EQ(file_.chunks().size(), 1U);
  EXPECT_EQ(file_.chunks().front()->length(), 10000U);
}

// The write continues a stream that has room for it, but its end lies behind
// bytes of another chunk and joins a third one, whose blocks are full.
TEST_F(DirtyFileTest, HasBlocksForTheEndOfAWriteThatIsCutUp) {
  write(0, 100 * KiB, 1);
  write(104 * KiB, 64 * KiB, 2);
  file_.cut(108 * KiB, 60 * KiB);
  write(1 * MiB, 32 * KiB, 3);
  write(2 * MiB, 32 * KiB, 3);
  ASSERT_EQ(file_.chunks().size(), 3U);

  write(100 * KiB, 20 * KiB, 4);
  EXPECT_EQ(file_.chunks()[0]->length(), 104 * KiB);
  EXPECT_EQ(file_.chunks()[2]->length(), 76 * KiB);
}

TEST_F(DirtyFileTest, ForgetsAChunkThatNothingRefersToAnyMore) {
  write(0, 10000, 1);
  const std::size_t used = buffer_.used_bytes();
  EXPECT_GT(used, 0U);
  file_.cut(0, 5000);
  EXPECT_EQ(file_.chunks().size(), 1U);
  file_.cut(5000, 5000);
  EXPECT_TRUE(file_.empty());
  EXPECT_EQ(buffer_.used_bytes(), 0U);
}

TEST_F(DirtyFileTest, KeepsDirtyWhatIsWrittenWhileItsCommitIsOnItsWay) {
  write(0, 8192, 1);
  std::vector<PendingChunkPtr> sealed;
  file_.seal(kNow, sealed);
  ASSERT_EQ(sealed.size(), 1U);
  sealed[0]->phase = ChunkPhase::uploaded;
  const auto ranges = file_.to_commit(100);
  ASSERT_EQ(ranges.size(), 1U);

  write(4096, 1024, 2);
  file_.committed(ranges);
  ASSERT_EQ(file_.ranges().size(), 1U);
  EXPECT_EQ(file_.ranges().bytes(), 1024U);
  EXPECT_EQ(file_.chunks().size(), 1U);
}

TEST_F(DirtyFileTest, MakesRightChecksumsAfterOverwriting) {
  std::vector<std::byte> data(200000);
  std::mt19937 random(5);
  for (auto& byte : data) byte = static_cast<std::byte>(random());
  write(0, data);
  for (int i = 0; i < 50; ++i) {
    const std::size_t at = random() % 190000;
    for (std::size_t j = at; j < at + 5000; ++j) data[j] = static_cast<std::byte>(random());
    write(at, BufferView(data).subspan(at, 5000));
  }
  const PendingChunkPtr chunk = file_.chunks().front();
  chunk->finish();
  EXPECT_EQ(chunk->checksums(), block_checksums(data));
  std::vector<std::byte> pieces;
  for (const BufferView piece : chunk->pieces()) {
    pieces.insert(pieces.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(pieces, data);
}

TEST_F(DirtyFileTest, WritesDownInAScatteredChunkWhereItsBytesBelong) {
  // With room for the map in the last block, and without.
  for (const std::size_t writes : {5, 63, 64}) {
    SCOPED_TRACE(writes);
    DirtyFile file(buffer_);
    std::vector<PendingChunkPtr> sealed;
    std::vector<FileRun> runs;
    for (std::uint64_t i = 0; i < writes; ++i) {
      const std::vector<std::byte> data(1 * KiB, std::byte{7});
      const std::uint64_t offset = (100 - i) * 100 * KiB;
      BlockList fresh(buffer_);
      ASSERT_TRUE(buffer_.try_take(file.blocks_needed(offset, data.size(), kChunk), fresh));
      file.write(offset, data, kChunk, kNow, fresh, sealed);
      runs.push_back({offset, 1 * KiB});
    }
    file.seal(kNow, sealed);
    ASSERT_EQ(sealed.size(), 1U);
    sealed[0]->finish();
    sealed[0]->finish();
    EXPECT_TRUE(sealed[0]->has_map());
    EXPECT_EQ(sealed[0]->length(), writes * KiB) << "extents name the bytes alone";
    std::vector<std::byte> uploaded;
    for (const BufferView piece : sealed[0]->pieces()) {
      EXPECT_EQ(uploaded.size() % kBlockSize, 0U);
      uploaded.insert(uploaded.end(), piece.begin(), piece.end());
    }
    EXPECT_EQ(sealed[0]->checksums(), block_checksums(uploaded));
    EXPECT_EQ(decode_run_map(uploaded, static_cast<std::uint32_t>(uploaded.size())), runs);
  }
}

TEST_F(DirtyFileTest, AddsNothingToAChunkThatIsOneRun) {
  write(0, 8192, 1);
  write(8192, 100, 2);
  std::vector<PendingChunkPtr> sealed;
  file_.seal(kNow, sealed);
  ASSERT_EQ(sealed.size(), 1U);
  sealed[0]->finish();
  EXPECT_FALSE(sealed[0]->has_map());
  std::size_t bytes = 0;
  for (const BufferView piece : sealed[0]->pieces()) bytes += piece.size();
  EXPECT_EQ(bytes, 8292U);
}

// Random writes, cuts, uploads and commits in any order: the committed bytes
// under the dirty ones are always what was written last.
TEST_F(DirtyFileTest, NeverLosesOrRevivesAByteUnderRandomUse) {
  constexpr std::size_t kSize = 1 * MiB;
  for (unsigned seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    DirtyFile file(buffer_);
    std::vector<std::uint8_t> expected(kSize, 0);
    std::vector<std::uint8_t> committed(kSize, 0);
    std::vector<PendingChunkPtr> sealed;
    for (int step = 0; step < 400; ++step) {
      const std::size_t offset = random() % kSize;
      const std::size_t most = random() % 3 == 0 ? 200000 : 6000;
      const std::size_t length = 1 + random() % std::min(most, kSize - offset);
      switch (random() % 8) {
        case 0:
          file.cut(offset, length);
          std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(offset), length, 0);
          std::fill_n(committed.begin() + static_cast<std::ptrdiff_t>(offset), length, 0);
          break;
        case 1:
          file.seal(kNow, sealed);
          break;
        case 2:
          for (const auto& chunk : sealed) {
            if (chunk->phase == ChunkPhase::sealed && random() % 2 == 0) {
              chunk->phase = ChunkPhase::uploaded;
            }
          }
          break;
        case 3: {
          const auto ranges = file.to_commit(1 + random() % 50);
          for (const auto& range : ranges) {
            std::vector<std::byte> bytes(range.length);
            range.source->copy(range.source_offset, bytes);
            for (std::size_t i = 0; i < range.length; ++i) {
              committed[range.offset + i] = static_cast<std::uint8_t>(bytes[i]);
            }
          }
          file.committed(ranges);
          break;
        }
        default: {
          std::vector<std::byte> data(length);
          for (auto& byte : data) byte = static_cast<std::byte>(1 + random() % 255);
          BlockList fresh(buffer_);
          ASSERT_TRUE(buffer_.try_take(file.blocks_needed(offset, length, kChunk), fresh));
          file.write(offset, data, kChunk, kNow, fresh, sealed);
          for (std::size_t i = 0; i < length; ++i) {
            expected[offset + i] = static_cast<std::uint8_t>(data[i]);
          }
        }
      }
      std::uint64_t live = 0;
      for (const auto& chunk : file.chunks()) live += chunk->live_bytes;
      ASSERT_EQ(live, file.ranges().bytes());
    }
    std::vector<std::uint8_t> now = committed;
    file.ranges().visit(0, kSize, [&](const DirtyFile::Range& range) {
      std::vector<std::byte> bytes(range.length);
      range.source->copy(range.source_offset, bytes);
      for (std::size_t i = 0; i < range.length; ++i) {
        now[range.offset + i] = static_cast<std::uint8_t>(bytes[i]);
      }
    });
    ASSERT_EQ(now, expected);
  }
}

}  // namespace
}  // namespace dfs
