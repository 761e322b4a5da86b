#include "common/client/write_log.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "common/client/dirty_file.h"
#include "tests/support/temporary_directory.h"

namespace dfs {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kChunk = 16 * KiB;
constexpr std::size_t kFile = 64 * KiB;
const SteadyTime kNow{};
// Thousands of syncs.
const fs::path kInMemory = "/dev/shm";

std::vector<std::byte> bytes(std::size_t count, int fill) {
  return std::vector<std::byte>(count, static_cast<std::byte>(fill));
}

std::unique_ptr<WriteLog> open_log(const fs::path& directory, std::uint64_t segment_bytes = 1 * MiB) {
  auto opened = WriteLog::open({.directory = directory, .cluster = "here",
                                .bytes_max = 4 * MiB, .segment_bytes = segment_bytes});
  EXPECT_TRUE(opened) << (opened ? "" : opened.error().to_string());
  (*opened)->begin();
  return *std::move(opened);
}

// What a mount would find after the loss of power.
FormerWrites found_in(const fs::path& directory) {
  auto former = read_write_log(directory, "here");
  EXPECT_TRUE(former) << (former ? "" : former.error().to_string());
  return *std::move(former);
}

std::vector<std::byte> over(std::vector<std::byte> below, const FormerWrites& former,
                            const LoggedFile& file) {
  file.ranges.visit(0, kFile, [&](const LoggedFile::Ranges::Range& range) {
    const MutableBuffer into = MutableBuffer(below).subspan(range.offset, range.length);
    EXPECT_TRUE(read_logged(former, range, into));
  });
  return below;
}

std::vector<std::byte> over(std::vector<std::byte> below, const DirtyFile& file) {
  file.ranges().visit(0, kFile, [&](const DirtyFile::Range& range) {
    range.source->copy(range.source_offset,
                       MutableBuffer(below).subspan(range.offset, range.length));
  });
  return below;
}

void write(WriteBuffer& buffer, DirtyFile& file, std::uint64_t offset, BufferView data) {
  BlockList fresh(buffer);
  std::vector<PendingChunkPtr> sealed;
  ASSERT_TRUE(buffer.try_take(file.blocks_needed(offset, data.size(), kChunk), fresh));
  file.write(offset, data, kChunk, kNow, fresh, sealed);
}

void commit(DirtyFile& file, std::size_t ranges_max = 100) {
  std::vector<PendingChunkPtr> sealed;
  file.seal(kNow, sealed);
  for (const auto& chunk : file.chunks()) chunk->phase = ChunkPhase::uploaded;
  file.committed(file.to_commit(ranges_max));
}

fs::path only_segment(const fs::path& directory) {
  const auto numbers = list_segments(directory).value();
  EXPECT_EQ(numbers.size(), 1u);
  return segment_path(directory, numbers.front());
}

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void put(const fs::path& path, const std::string& what) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << what;
}

TEST(WriteLog, HasWhatWasWrittenWithItsFacts) {
  TemporaryDirectory directory(kInMemory);
  const UnsentFacts facts{.mtime = 5, .clear_set_id = true, .data_change = 9, .changed_by = 0};
  {
    const auto log = open_log(directory.path());
    WriteBuffer buffer(1 * MiB, nullptr, log.get());
    DirtyFile file(buffer, InodeId{7});
    file.set_facts(facts);
    write(buffer, file, 1000, bytes(5000, 1));
    log->intends(InodeId{7}, 9, ChunkId{77});
    EXPECT_TRUE(log->make_stable());
  }
  const FormerWrites former = found_in(directory.path());
  const LoggedFile& file = former.files.at(InodeId{7});
  EXPECT_EQ(file.facts, facts);
  EXPECT_EQ(file.intent, ChunkId{77});
  EXPECT_FALSE(file.is_doubtful);
  EXPECT_EQ(former.bytes(), 5000u);
  auto expected = bytes(kFile, 0);
  std::fill_n(expected.begin() + 1000, 5000, std::byte{1});
  EXPECT_EQ(over(bytes(kFile, 0), former, file), expected);
}

TEST(WriteLog, TellsOfOneMountAtATimeAndOfItsOwnCluster) {
  TemporaryDirectory directory(kInMemory);
  {
    const auto log = open_log(directory.path());
    EXPECT_EQ(WriteLog::open({.directory = directory.path(), .cluster = "here"}).error().code,
              Errc::busy);
    WriteLog::Hold hold = log->wrote(InodeId{7}, 0, bytes(10, 1), {});
    EXPECT_TRUE(log->make_stable());
  }
  const auto other = WriteLog::open({.directory = directory.path(), .cluster = "there"});
  EXPECT_EQ(other.error().code, Errc::wrong_cluster);
  EXPECT_NE(other.error().text.find("belongs to a mount of cluster here"), std::string::npos);
}

TEST(WriteLog, KeepsSegmentsFromTheFirstThatIsNeededOn) {
  TemporaryDirectory directory(kInMemory);
  const auto log = open_log(directory.path(), 10'000);
  std::vector<WriteLog::Hold> holds;
  for (int at = 0; at < 4; ++at) {
    holds.push_back(log->wrote(InodeId{7}, 0, bytes(10'000, at), {}));
    EXPECT_TRUE(log->make_stable());
  }
  holds[0] = {};
  holds[2] = {};
  log->tidy(WriteLog::Activity::busy);
  EXPECT_EQ(list_segments(directory.path()).value(), (std::vector<std::uint64_t>{2, 3, 4}));
  holds[1] = {};
  log->tidy(WriteLog::Activity::busy);
  EXPECT_EQ(list_segments(directory.path()).value(), (std::vector<std::uint64_t>{4}));
  log->end();
  EXPECT_EQ(list_segments(directory.path()).value(), (std::vector<std::uint64_t>{4}));
  holds.clear();
  log->end();
  EXPECT_TRUE(list_segments(directory.path()).value().empty());
}

TEST(WriteLog, HasNoRoomBeyondItsBoundUntilSegmentsGo) {
  TemporaryDirectory directory(kInMemory);
  const auto log = open_log(directory.path(), 1 * MiB);
  std::vector<WriteLog::Hold> holds;
  while (log->has_room()) {
    holds.push_back(log->wrote(InodeId{7}, 0, bytes(512 * KiB, 1), {}));
    EXPECT_TRUE(log->make_stable());
  }
  EXPECT_LE(log->bytes(), 4 * MiB + 600 * KiB);
  holds.clear();
  log->tidy(WriteLog::Activity::busy);
  EXPECT_TRUE(log->has_room());
}

TEST(WriteLog, SaysThatItCannotBeWrittenAndRecordsNothingMore) {
  TemporaryDirectory directory(kInMemory);
  const auto log = open_log(directory.path(), 1000);
  WriteLog::Hold first = log->wrote(InodeId{7}, 0, bytes(2000, 1), {});
  EXPECT_TRUE(log->make_stable());
  fs::create_directory(segment_path(directory.path(), 2));  // where the next one belongs
  WriteLog::Hold second = log->wrote(InodeId{7}, 0, bytes(2000, 2), {});
  EXPECT_FALSE(log->make_stable());
  EXPECT_FALSE(log->make_stable());
  EXPECT_FALSE(log->wrote(InodeId{7}, 0, bytes(2000, 3), {}));
  EXPECT_TRUE(log->has_room());
}

TEST(WriteLog, OfAFormerMountIsNeededUntilItIsSettled) {
  TemporaryDirectory directory(kInMemory);
  {
    const auto log = open_log(directory.path());
    WriteLog::Hold hold = log->wrote(InodeId{7}, 0, bytes(100, 1), {});
    log->set_session({.session = 3, .epoch = 4, .last_sequence = 5});
    EXPECT_TRUE(log->make_stable());
  }
  {
    auto log = WriteLog::open({.directory = directory.path(), .cluster = "here"}).value();
    EXPECT_EQ(log->former().session->session, 3u);
    // What is sent of it is not recorded once more.
    EXPECT_FALSE(log->wrote(InodeId{7}, 0, bytes(100, 1), {}));
    log->intends(InodeId{7}, 12, ChunkId{5});
    EXPECT_TRUE(log->make_stable());
  }
  {
    auto log = WriteLog::open({.directory = directory.path(), .cluster = "here"}).value();
    EXPECT_EQ(log->former().files.at(InodeId{7}).facts.data_change, 12u);
    EXPECT_EQ(log->former().files.at(InodeId{7}).intent, ChunkId{5});
    log->settle_former();
  }
  EXPECT_TRUE(found_in(directory.path()).files.empty());
}

TEST(WriteLog, IsWrittenAgainOnceWhatAFormerMountLeftIsGone) {
  TemporaryDirectory directory(kInMemory);
  {
    const auto log = open_log(directory.path());
    WriteLog::Hold hold = log->wrote(InodeId{7}, 0, bytes(100, 1), {});
    EXPECT_TRUE(log->make_stable());
  }
  auto log = WriteLog::open({.directory = directory.path(), .cluster = "here"}).value();
  fs::create_directory(segment_path(directory.path(), 2));
  log->intends(InodeId{7}, 12, ChunkId{5});
  EXPECT_FALSE(log->make_stable());
  log->remove_former();
  WriteLog::Hold hold = log->wrote(InodeId{8}, 0, bytes(100, 2), {});
  EXPECT_TRUE(log->make_stable());
  fs::remove(segment_path(directory.path(), 2));
  const FormerWrites former = found_in(directory.path());
  EXPECT_EQ(former.files.size(), 1u);
  EXPECT_TRUE(former.files.contains(InodeId{8}));
  EXPECT_TRUE(former.damage.empty());
}

// A log with some syncs, and how long it was after each.
struct Recorded {
  std::string content;
  std::vector<std::size_t> synced;
};

Recorded record(const fs::path& directory) {
  Recorded result;
  const auto log = open_log(directory);
  std::vector<WriteLog::Hold> holds;
  for (int at = 0; at < 6; ++at) {
    holds.push_back(log->wrote(InodeId{7}, static_cast<std::uint64_t>(at) * 100, bytes(100, at + 1), {}));
    log->facts(InodeId{7}, {.mtime = at, .data_change = static_cast<std::uint64_t>(at)});
    EXPECT_TRUE(log->make_stable());
    result.synced.push_back(content(only_segment(directory)).size());
  }
  result.content = content(only_segment(directory));
  return result;
}

TEST(WriteLog, FindsEveryByteThatIsDamagedBeforeTheLastSync) {
  TemporaryDirectory directory(kInMemory);
  const Recorded log = record(directory.path());
  const fs::path segment = only_segment(directory.path());
  const std::size_t last = log.synced[log.synced.size() - 2];
  for (std::size_t at = 0; at < last; ++at) {
    const bool is_padding = [&] {
      // Zeros behind a payload of 100 bytes.
      std::size_t begin = sizeof(LogSegmentHeader);
      while (begin < last) {
        LogRecordHeader header;
        std::memcpy(&header, log.content.data() + begin, sizeof header);
        const std::size_t end = begin + log_record_bytes(header);
        if (at < end) return at >= begin + sizeof header + header.length;
        begin = end;
      }
      return false;
    }();
    if (is_padding) continue;
    std::string damaged = log.content;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    put(segment, damaged);
    const auto read = read_write_log(directory.path(), "here");
    const bool is_header = at < sizeof(LogSegmentHeader);
    ASSERT_TRUE(read && read->damage.size() == 1) << "at " << at;
    if (is_header) continue;
    // What is whole is there, and what is older not taken for current.
    EXPECT_GE(read->bytes(), 500u);
    EXPECT_TRUE(read->files.at(InodeId{7}).ranges.overlaps(500, 100));
    const std::size_t second = sizeof(LogSegmentHeader) + log_aligned(sizeof(LogRecordHeader) + 100);
    EXPECT_EQ(read->files.at(InodeId{7}).is_doubtful, at >= second) << "at " << at;
  }
}

TEST(WriteLog, HasAllThatWasSyncedWhereverItsEndIsTorn) {
  TemporaryDirectory directory(kInMemory);
  const Recorded log = record(directory.path());
  const fs::path segment = only_segment(directory.path());
  for (std::size_t length = log.synced.front(); length <= log.content.size(); length += 3) {
    std::size_t syncs = 0;
    while (syncs < log.synced.size() && log.synced[syncs] <= length) ++syncs;
    put(segment, log.content.substr(0, length));
    const FormerWrites former = found_in(directory.path());
    EXPECT_TRUE(former.damage.empty());
    ASSERT_GE(former.bytes(), syncs * 100) << "cut at " << length;
    // It goes on where it was cut.
    EXPECT_LE(content(segment).size(), length);
  }
}

// Random writes, cuts and commits; power is lost behind any of them, at any byte behind the last
// sync. What is found is what was dirty then.
TEST(WriteLog, LosesOrRevivesNoAcknowledgedByteWheneverPowerIsLost) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    TemporaryDirectory directory(kInMemory);
    TemporaryDirectory left(kInMemory);
    const auto log = open_log(directory.path(), 40'000);
    WriteBuffer buffer(4 * MiB, nullptr, log.get());
    std::map<int, std::unique_ptr<DirtyFile>> files;
    for (int inode = 1; inode <= 2; ++inode)
      files[inode] = std::make_unique<DirtyFile>(buffer, InodeId{static_cast<std::uint64_t>(inode)});
    std::uint64_t change = 1;
    for (int step = 0; step < 120; ++step) {
      DirtyFile& file = *files[1 + static_cast<int>(random() % 2)];
      const std::size_t offset = random() % kFile;
      const std::size_t length = 1 + random() % std::min<std::size_t>(kFile - offset, 9000);
      switch (random() % 8) {
        case 0:
          file.cut(offset, length);
          break;
        case 1:
          commit(file, 1 + random() % 5);
          file.set_facts({.mtime = std::nullopt, .data_change = ++change});
          break;
        case 2:
          log->tidy(random() % 2 == 0 ? WriteLog::Activity::busy : WriteLog::Activity::idle);
          break;
        default:
          file.set_facts({.mtime = step, .data_change = change});
          write(buffer, file, offset, bytes(length, step + 1));
      }
      if (random() % 3 == 0) continue;
      ASSERT_TRUE(log->make_stable());

      // Records behind the sync, of which any part may have got there.
      fs::remove_all(left.path());
      fs::copy(directory.path(), left.path());
      const auto numbers = list_segments(left.path()).value();
      if (!numbers.empty()) {
        const fs::path last = segment_path(left.path(), numbers.back());
        std::string torn = content(last);
        std::string rest(random() % 300, '\0');
        for (char& c : rest) c = static_cast<char>(random());
        put(last, torn + rest);
      }
      const FormerWrites former = found_in(left.path());
      ASSERT_TRUE(former.damage.empty()) << former.damage.front();
      for (const auto& [inode, dirty] : files) {
        const auto found = former.files.find(InodeId{static_cast<std::uint64_t>(inode)});
        ASSERT_EQ(found != former.files.end(), !dirty->ranges().empty()) << "step " << step;
        if (found == former.files.end()) continue;
        ASSERT_EQ(found->second.ranges.bytes(), dirty->ranges().bytes()) << "step " << step;
        ASSERT_EQ(over(bytes(kFile, 0), former, found->second), over(bytes(kFile, 0), *dirty));
        ASSERT_EQ(found->second.facts.data_change, dirty->facts().data_change);
      }
    }
  }
}

}  // namespace
}  // namespace dfs
