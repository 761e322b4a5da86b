#include "common/client/write_journal.h"

#include <random>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/client/dirty_file.h"

namespace dfs {
namespace {

constexpr std::uint32_t kChunk = 256 * KiB;
constexpr std::size_t kBuffer = 4 * MiB;
constexpr std::size_t kFile = 512 * KiB;
constexpr InodeId kInode{7};
const SteadyTime kNow{};

// The memory as it would be left by a kill at this moment.
LastingMemory copy_of(const LastingMemory& memory) {
  UniqueFd copy(::memfd_create("test", MFD_CLOEXEC));
  struct stat status {};
  EXPECT_EQ(::fstat(memory.descriptor(), &status), 0);
  off_t from = 0;
  while (from < status.st_size)
    if (::sendfile(copy.get(), memory.descriptor(), &from,
                   static_cast<std::size_t>(status.st_size - from)) <= 0)
      break;
  EXPECT_EQ(from, status.st_size);
  return LastingMemory::open(std::move(copy)).value();
}

// A process with one file.
struct Process {
  explicit Process(LastingMemory& memory)
      : journal(WriteJournal::open(memory, kBuffer).value()), buffer(kBuffer, journal.get()) {
    file.restore(journal->take_former(), kNow);
  }
  void write(std::uint64_t offset, BufferView data) {
    BlockList fresh(buffer);
    ASSERT_TRUE(buffer.try_take(file.blocks_needed(offset, data.size(), kChunk), fresh));
    file.write(offset, data, kChunk, kNow, fresh, sealed);
  }
  // What is buffered, over what is committed.
  std::vector<std::byte> over(std::vector<std::byte> below) const {
    file.ranges().visit(0, kFile, [&](const DirtyFile::Range& range) {
      range.source->copy(range.source_offset,
                         MutableBuffer(below).subspan(range.offset, range.length));
    });
    return below;
  }

  std::unique_ptr<WriteJournal> journal;
  WriteBuffer buffer;
  DirtyFile file{buffer, kInode};
  std::vector<PendingChunkPtr> sealed;
};

std::vector<std::byte> bytes(std::size_t count, int fill) {
  return std::vector<std::byte>(count, static_cast<std::byte>(fill));
}

TEST(WriteJournal, HasWhatWasWrittenForTheNextProcess) {
  LastingMemory memory = LastingMemory::create().value();
  Process first(memory);
  first.write(1000, bytes(100'000, 1));
  first.file.set_facts({.mtime = 5, .clear_set_id = true, .data_change = 9, .changed_by = 70});

  LastingMemory left = copy_of(memory);
  Process second(left);
  EXPECT_EQ(second.file.ranges().bytes(), 100'000u);
  EXPECT_EQ(second.file.facts(), first.file.facts());
  EXPECT_EQ(second.over(bytes(kFile, 0)), first.over(bytes(kFile, 0)));
  EXPECT_EQ(second.buffer.used_bytes(), 128 * KiB);
  const PendingChunkPtr chunk = second.file.chunks().front();
  EXPECT_EQ(chunk->phase, ChunkPhase::sealed);
  chunk->finish();
  EXPECT_EQ(chunk->checksums(), block_checksums(bytes(100'000, 1)));
}

TEST(WriteJournal, IsEmptyOnceEverythingIsCommitted) {
  LastingMemory memory = LastingMemory::create().value();
  Process first(memory);
  first.write(0, bytes(300'000, 1));
  first.file.seal(kNow, first.sealed);
  for (const auto& chunk : first.sealed) chunk->phase = ChunkPhase::uploaded;
  first.file.committed(first.file.to_commit(100));
  first.sealed.clear();
  LastingMemory left = copy_of(memory);
  Process second(left);
  EXPECT_TRUE(second.file.empty());
  EXPECT_EQ(second.buffer.used_bytes(), 0u);
}

TEST(WriteJournal, DoesNotReviveWhatANewerCommitHasReplaced) {
  LastingMemory memory = LastingMemory::create().value();
  Process first(memory);
  first.write(0, bytes(100'000, 1));
  first.file.seal(kNow, first.sealed);
  first.write(20'000, bytes(10'000, 2));
  first.file.seal(kNow, first.sealed);
  first.sealed.back()->phase = ChunkPhase::uploaded;
  first.file.committed(first.file.to_commit(100));
  first.sealed.clear();
  LastingMemory left = copy_of(memory);
  Process second(left);
  EXPECT_FALSE(second.file.ranges().overlaps(20'000, 10'000));
  EXPECT_EQ(second.file.ranges().bytes(), 90'000u);
}

TEST(WriteJournal, TakesAChunkWhoseEndIsGoneForAShorterOne) {
  LastingMemory memory = LastingMemory::create().value();
  Process first(memory);
  first.write(0, bytes(200'000, 1));
  first.file.cut(70'000, 130'000);
  LastingMemory left = copy_of(memory);
  Process second(left);
  const PendingChunkPtr chunk = second.file.chunks().front();
  EXPECT_EQ(chunk->length(), 70'000u);
  EXPECT_EQ(second.buffer.used_bytes(), 128 * KiB);
  chunk->finish();
  EXPECT_EQ(chunk->checksums(), block_checksums(bytes(70'000, 1)));
}

// Random writes, cuts and commits, with a kill after any of them.
TEST(WriteJournal, LosesOrRevivesNoByteWheneverTheProcessIsKilled) {
  for (unsigned seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    auto memory = std::make_unique<LastingMemory>(LastingMemory::create().value());
    auto process = std::make_unique<Process>(*memory);
    std::vector<std::byte> expected(kFile);
    std::vector<std::byte> committed(kFile);
    for (int step = 0; step < 200; ++step) {
      const std::size_t offset = random() % kFile;
      const std::size_t most = random() % 3 == 0 ? 200'000 : 6'000;
      const std::size_t length = 1 + random() % std::min(most, kFile - offset);
      DirtyFile& file = process->file;
      switch (random() % 8) {
        case 0:
          file.cut(offset, length);
          for (auto* model : {&expected, &committed})
            std::fill_n(model->begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{});
          break;
        case 1:
          file.seal(kNow, process->sealed);
          break;
        case 2:
          for (const auto& chunk : file.chunks())
            if (chunk->phase == ChunkPhase::sealed && random() % 2 == 0)
              chunk->phase = ChunkPhase::uploaded;
          break;
        case 3: {
          const auto ranges = file.to_commit(1 + random() % 50);
          for (const auto& range : ranges)
            range.source->copy(range.source_offset,
                               MutableBuffer(committed).subspan(range.offset, range.length));
          file.committed(ranges);
          process->sealed.clear();
          break;
        }
        default: {
          std::vector<std::byte> data(length);
          for (auto& byte : data) byte = static_cast<std::byte>(1 + random() % 255);
          process->write(offset, data);
          std::copy(data.begin(), data.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
        }
      }
      if (step % 10 != 9) continue;
      auto left = std::make_unique<LastingMemory>(copy_of(*memory));
      process.reset();
      memory = std::move(left);
      process = std::make_unique<Process>(*memory);
      ASSERT_EQ(process->over(committed), expected) << "after step " << step;
      std::uint64_t live = 0;
      for (const auto& chunk : process->file.chunks()) {
        live += chunk->live_bytes;
        chunk->finish();
        std::vector<std::byte> all;
        for (const BufferView piece : chunk->pieces()) all.insert(all.end(), piece.begin(), piece.end());
        ASSERT_EQ(chunk->has_map(), !chunk->contiguous);
        ASSERT_EQ(decode_run_map(all, static_cast<std::uint32_t>(all.size())).has_value(),
                  chunk->has_map())
            << "after step " << step;
        ASSERT_EQ(chunk->checksums(), block_checksums(all)) << "after step " << step;
      }
      ASSERT_EQ(live, process->file.ranges().bytes());
    }
  }
}

}  // namespace
}  // namespace dfs
