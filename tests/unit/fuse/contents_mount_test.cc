// Bytes through a real mount.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <random>
#include <vector>

#include "tests/unit/fuse/mounted.h"

namespace dfs::fuse {
namespace {

class Contents : public Mounted {
 protected:
  void SetUp() override {
    Mounted::SetUp();
    if (!HasFatalFailure()) mount();
  }
};

UniqueFd open_file(const std::filesystem::path& file, int flags) {
  return UniqueFd(::open(file.c_str(), flags, 0644));
}

TEST_F(Contents, OfManyMegabytesComeBackInRequestsOfOne) {
  const std::string bytes = random_bytes(37 * MiB + 4321, 7);
  {
    const UniqueFd fd = open_file(path("big"), O_WRONLY | O_CREAT);
    for (std::size_t at = 0; at < bytes.size(); at += 5 * MiB) {
      const std::size_t count = std::min<std::size_t>(5 * MiB, bytes.size() - at);
      ASSERT_EQ(::write(fd.get(), bytes.data() + at, count), static_cast<ssize_t>(count));
    }
  }
  EXPECT_EQ(files_.counts().largest_write, kRequestBytesMax);
  EXPECT_TRUE(read_text(path("big")) == bytes);
  const UniqueFd direct = open_file(path("big"), O_RDONLY | O_DIRECT);
  std::vector<char> whole(bytes.size());
  std::size_t got = 0;
  while (got < whole.size()) {
    const ssize_t count = ::pread(direct.get(), whole.data() + got, whole.size() - got,
                                  static_cast<off_t>(got));
    ASSERT_GT(count, 0);
    got += static_cast<std::size_t>(count);
  }
  EXPECT_TRUE(std::equal(whole.begin(), whole.end(), bytes.begin()));
}

TEST_F(Contents, WrittenAtRandomPlacesMatchAModel) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::string model;
  const UniqueFd buffered = open_file(path("file"), O_RDWR | O_CREAT);
  const UniqueFd direct = open_file(path("file"), O_RDWR | O_DIRECT);
  for (int step = 0; step < 400; ++step) {
    const int fd = random() % 2 ? buffered.get() : direct.get();
    const std::size_t offset = random() % 300'000, count = random() % 70'000;
    switch (random() % 4) {
      case 0:
      case 1: {
        const std::string bytes = random_bytes(count, random());
        if (offset + count > model.size() && count > 0) model.resize(offset + count);
        model.replace(offset, count, bytes, 0, count > 0 ? std::string::npos : 0);
        if (count > 0) {
          ASSERT_EQ(::pwrite(fd, bytes.data(), count, static_cast<off_t>(offset)),
                    static_cast<ssize_t>(count));
        }
        break;
      }
      case 2:
        if (random() % 8 == 0) {
          model.resize(offset);
          ASSERT_EQ(::ftruncate(fd, static_cast<off_t>(offset)), 0);
        }
        break;
      default: {
        std::string bytes(count, '?');
        const ssize_t got = ::pread(fd, bytes.data(), count, static_cast<off_t>(offset));
        const std::size_t expected =
            offset >= model.size() ? 0 : std::min(count, model.size() - offset);
        ASSERT_EQ(got, static_cast<ssize_t>(expected));
        ASSERT_TRUE(bytes.compare(0, expected, model, std::min(offset, model.size()), expected) == 0);
      }
    }
  }
  EXPECT_TRUE(read_text(path("file")) == model);
}

TEST_F(Contents, AppendedByTwoDescriptorsLieOneAfterAnother) {
  const UniqueFd one = open_file(path("log"), O_WRONLY | O_CREAT | O_APPEND);
  const UniqueFd two = open_file(path("log"), O_WRONLY | O_APPEND);
  for (int round = 0; round < 100; ++round) {
    ASSERT_EQ(::write(one.get(), "1", 1), 1);
    ASSERT_EQ(::write(two.get(), "2", 1), 1);
  }
  std::string expected;
  for (int round = 0; round < 100; ++round) expected += "12";
  EXPECT_EQ(read_text(path("log")), expected);
}

TEST_F(Contents, AreMappedAndWrittenThroughTheMapping) {
  const std::string bytes = random_bytes(300'000, 3);
  ASSERT_EQ(write_text(path("file"), bytes), 0);
  const UniqueFd fd = open_file(path("file"), O_RDWR);
  char* const memory = static_cast<char*>(
      ::mmap(nullptr, bytes.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  ASSERT_NE(memory, MAP_FAILED);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), memory));
  memory[123'456] = '!';
  ASSERT_EQ(::msync(memory, bytes.size(), MS_SYNC), 0);
  ::munmap(memory, bytes.size());
  std::string expected = bytes;
  expected[123'456] = '!';
  EXPECT_TRUE(read_text(path("file")) == expected);
}

TEST_F(Contents, HaveHolesWhereTheyWerePunched) {
  const std::string bytes = random_bytes(100'000, 4);
  ASSERT_EQ(write_text(path("file"), bytes), 0);
  const UniqueFd fd = open_file(path("file"), O_RDWR);
  ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10'000, 50'000), 0);
  std::string expected = bytes;
  std::fill_n(expected.begin() + 10'000, 50'000, '\0');
  EXPECT_TRUE(read_text(path("file")) == expected);
  for (const int mode : {FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE}) {
    EXPECT_EQ(::fallocate(fd.get(), mode, 0, 4096), -1);
    EXPECT_EQ(errno, EOPNOTSUPP) << mode;
  }
  ASSERT_EQ(::fallocate(fd.get(), 0, 0, 200'000), 0);
  EXPECT_EQ(status_of(path("file")).st_size, 200'000);
  EXPECT_EQ(::lseek(fd.get(), 10, SEEK_DATA), 10);
  EXPECT_EQ(::lseek(fd.get(), 10, SEEK_HOLE), 200'000);
  EXPECT_EQ(::lseek(fd.get(), 200'000, SEEK_DATA), -1);
  EXPECT_EQ(errno, ENXIO);
}

// Bytes copied from the start of one file to that of another, as cp does it.
std::size_t copy_all(const UniqueFd& from, const UniqueFd& to, std::size_t bytes) {
  std::size_t copied = 0;
  while (copied < bytes) {
    const ssize_t count =
        ::copy_file_range(from.get(), nullptr, to.get(), nullptr, bytes - copied, 0);
    EXPECT_GT(count, 0) << errno;
    if (count <= 0) break;
    copied += static_cast<std::size_t>(count);
  }
  return copied;
}

TEST_F(Contents, AreCopiedWithoutBeingReadOrWritten) {
  const std::string bytes = random_bytes(2 * MiB, 5);
  ASSERT_EQ(write_text(path("from"), bytes), 0);
  ASSERT_EQ(write_text(path("to"), "old and in the cache"), 0);
  ASSERT_EQ(read_text(path("to")), "old and in the cache");
  const auto before = files_.counts();
  {
    const UniqueFd from = open_file(path("from"), O_RDONLY);
    const UniqueFd to = open_file(path("to"), O_WRONLY);
    EXPECT_EQ(copy_all(from, to, bytes.size()), bytes.size());
    EXPECT_EQ(status_of(path("to")).st_size, static_cast<off_t>(bytes.size()));
  }
  EXPECT_EQ(files_.counts().copies, before.copies + 1);
  EXPECT_EQ(files_.counts().bytes_written, before.bytes_written);
  EXPECT_TRUE(read_text(path("to")) == bytes);
}

TEST_F(Contents, CopiedOverPunchedAndZeroedAreSeenThroughAMapping) {
  constexpr std::size_t kSize = 100'000;
  const std::string source = random_bytes(kSize, 10);
  std::string expected = random_bytes(kSize, 9);
  ASSERT_EQ(write_text(path("from"), source), 0);
  ASSERT_EQ(write_text(path("to"), expected), 0);
  const UniqueFd from = open_file(path("from"), O_RDONLY);
  const UniqueFd to = open_file(path("to"), O_RDWR);
  char* const memory =
      static_cast<char*>(::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, to.get(), 0));
  ASSERT_NE(memory, MAP_FAILED);
  EXPECT_TRUE(expected == std::string_view(memory, kSize));

  off_t from_offset = 5'000;
  off_t to_offset = 12'345;
  ASSERT_EQ(::copy_file_range(from.get(), &from_offset, to.get(), &to_offset, 40'000, 0), 40'000);
  expected.replace(12'345, 40'000, source, 5'000, 40'000);
  EXPECT_TRUE(expected == std::string_view(memory, kSize));

  ASSERT_EQ(::fallocate(to.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 50'001, 7'777), 0);
  expected.replace(50'001, 7'777, 7'777, '\0');
  ASSERT_EQ(::fallocate(to.get(), FALLOC_FL_ZERO_RANGE, 90'010, 5'000), 0);
  expected.replace(90'010, 5'000, 5'000, '\0');
  EXPECT_TRUE(expected == std::string_view(memory, kSize));
  ::munmap(memory, kSize);
}

TEST_F(Contents, AreCopiedInSeveralStepsWhenOneIsTooShort) {
  const std::string bytes = random_bytes(1 * MiB + 77, 6);
  ASSERT_EQ(write_text(path("from"), bytes), 0);
  files_.obstacles().limit_copies(300'000);
  const UniqueFd from = open_file(path("from"), O_RDONLY);
  const UniqueFd to = open_file(path("to"), O_WRONLY | O_CREAT);
  EXPECT_EQ(copy_all(from, to, bytes.size()), bytes.size());
  EXPECT_EQ(files_.counts().copies, 4u);
  EXPECT_TRUE(read_text(path("to")) == bytes);
}

TEST_F(Contents, AreCopiedByTheKernelWhenTheyCannotBeShared) {
  const std::string bytes = random_bytes(2 * MiB, 5);
  ASSERT_EQ(write_text(path("from"), bytes), 0);
  files_.obstacles().limit_copies(0, Errc::unsupported);
  const UniqueFd from = open_file(path("from"), O_RDONLY);
  const UniqueFd to = open_file(path("to"), O_WRONLY | O_CREAT);
  EXPECT_EQ(copy_all(from, to, bytes.size()), bytes.size());
  EXPECT_TRUE(read_text(path("to")) == bytes);
}

TEST_F(Contents, ThatOverlapAreNotCopiedWithinAFile) {
  ASSERT_EQ(write_text(path("file"), random_bytes(100'000, 8)), 0);
  const UniqueFd fd = open_file(path("file"), O_RDWR);
  off_t from = 0;
  off_t to = 50'000;
  EXPECT_EQ(::copy_file_range(fd.get(), &from, fd.get(), &to, 60'000, 0), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(Contents, WrittenWithOSyncAreSyncedBeforeTheWriteReturns) {
  for (const int flag : {O_SYNC, O_DSYNC}) {
    for (const int how : {0, O_DIRECT}) {
      const UniqueFd fd = open_file(path("file"), O_WRONLY | O_CREAT | flag | how);
      const auto before = files_.counts().fsyncs;
      ASSERT_EQ(::pwrite(fd.get(), "text", 4, 0), 4);
      EXPECT_EQ(files_.counts().fsyncs, before + 1) << flag << ' ' << how;
    }
  }
  const UniqueFd fd = open_file(path("file"), O_WRONLY);
  const auto before = files_.counts().fsyncs;
  ASSERT_EQ(::pwrite(fd.get(), "text", 4, 0), 4);
  EXPECT_EQ(files_.counts().fsyncs, before);
}

TEST_F(Contents, CopiedOrPunchedThroughOSyncAreSyncedToo) {
  ASSERT_EQ(write_text(path("from"), random_bytes(10'000, 3)), 0);
  const UniqueFd from = open_file(path("from"), O_RDONLY);
  for (const int flag : {O_SYNC, O_DSYNC, 0}) {
    const UniqueFd to = open_file(path("to"), O_WRONLY | O_CREAT | flag);
    const std::uint64_t expected = flag != 0 ? 1 : 0;
    auto before = files_.counts().fsyncs;
    EXPECT_EQ(copy_all(from, to, 10'000), 10'000U);
    EXPECT_EQ(files_.counts().fsyncs, before + expected) << flag;
    before = files_.counts().fsyncs;
    ASSERT_EQ(::fallocate(to.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 100), 0);
    EXPECT_EQ(files_.counts().fsyncs, before + expected) << flag;
    ASSERT_EQ(::lseek(from.get(), 0, SEEK_SET), 0);
  }
}

TEST_F(Contents, MappedAndSyncedAreSyncedInTheEngine) {
  ASSERT_EQ(write_text(path("file"), random_bytes(10'000, 3)), 0);
  const UniqueFd fd = open_file(path("file"), O_RDWR);
  char* const memory =
      static_cast<char*>(::mmap(nullptr, 10'000, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  ASSERT_NE(memory, MAP_FAILED);
  const auto before = files_.counts().fsyncs;
  memory[5000] = '!';
  ASSERT_EQ(::msync(memory, 10'000, MS_SYNC), 0);
  EXPECT_GT(files_.counts().fsyncs, before);
  ::munmap(memory, 10'000);
}

TEST_F(Contents, ChangedInAPrivateMappingStayThere) {
  const std::string bytes = random_bytes(10'000, 3);
  ASSERT_EQ(write_text(path("file"), bytes), 0);
  const UniqueFd fd = open_file(path("file"), O_RDONLY);
  char* const memory =
      static_cast<char*>(::mmap(nullptr, 10'000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd.get(), 0));
  ASSERT_NE(memory, MAP_FAILED);
  memory[5000] = static_cast<char>(~bytes[5000]);
  ASSERT_EQ(::msync(memory, 10'000, MS_SYNC), 0);
  ::munmap(memory, 10'000);
  EXPECT_TRUE(read_text(path("file")) == bytes);
}

TEST_F(Contents, AreFlushedAtTheLastCloseOfAWriterOnly) {
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  const auto flushes = files_.counts().flushes;
  EXPECT_EQ(flushes, 1u);
  read_text(path("file"));
  EXPECT_EQ(files_.counts().flushes, flushes);
}

TEST_F(Contents, OfASmallFileCostNoQuestionsAboutCapabilitiesPerWrite) {
  const UniqueFd fd = open_file(path("file"), O_WRONLY | O_CREAT);
  for (int round = 0; round < 200; ++round) ASSERT_EQ(::pwrite(fd.get(), "x", 1, round), 1);
  EXPECT_LE(files_.counts().get_xattrs, 2u);
}

TEST_F(Contents, AreLockedBetweenTheProgramsOfThisMount) {
  const UniqueFd one = open_file(path("file"), O_RDWR | O_CREAT);
  const UniqueFd two = open_file(path("file"), O_RDWR);
  ASSERT_EQ(::flock(one.get(), LOCK_EX), 0);
  EXPECT_EQ(::flock(two.get(), LOCK_EX | LOCK_NB), -1);
  EXPECT_EQ(errno, EWOULDBLOCK);
  struct flock range {};
  range.l_type = F_WRLCK;
  EXPECT_EQ(::fcntl(one.get(), F_SETLK, &range), 0);
}

TEST_F(Contents, ChangedElsewhereAreSeenByTheNextOpen) {
  ASSERT_EQ(write_text(path("file"), "old"), 0);
  ASSERT_EQ(read_text(path("file")), "old");
  files_.overwrite_elsewhere(files_.find(kRootInode, "file"), "new");
  EXPECT_EQ(read_text(path("file")), "new");
}

TEST_F(Contents, AreClosedInTheEngineWhenNobodyHasThemOpen) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(write_text(path(std::to_string(round)), "text"), 0);
  }
  unmount();
  EXPECT_EQ(files_.counts().open_now, 0u);
}

}  // namespace
}  // namespace dfs::fuse
