#include "common/rpc/local_reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "tests/support/temporary_directory.h"

namespace dfs {
namespace {

class LocalReaderTest : public testing::Test {
 protected:
  std::string path(const std::string& name) { return (directory_.path() / name).string(); }
  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(path(name), std::ios::binary | std::ios::trunc) << bytes;
  }
  // Reads `expected` at `offset`: "right", "wrong" or the error's name.
  std::string read(LocalReader& reader, const std::string& name, std::uint64_t offset,
                   const std::string& expected) {
    std::string back(expected.size(), '\0');
    const LocalReader::Read wanted{{path(name), offset, static_cast<std::uint32_t>(back.size())},
                                   block_checksums(as_bytes(expected)),
                                   reinterpret_cast<std::byte*>(back.data())};
    const auto done = reader.read(wanted, LocalReader::Wait::yes);
    if (!done) return std::string(name_of(done.error().code));
    return back == expected ? "right" : "wrong";
  }

  TemporaryDirectory directory_;
  const std::string bytes_ = std::string(100'000, 'a') + std::string(100'000, 'b');
};

TEST_F(LocalReaderTest, ReturnsOnlyBytesThatMatchTheirChecksums) {
  LocalReader reader({});
  write("f", "head" + bytes_);
  EXPECT_EQ(read(reader, "f", 4, bytes_), "right");
  EXPECT_EQ(read(reader, "f", 3, bytes_), "corrupt");
  EXPECT_EQ(read(reader, "f", 5, bytes_), "corrupt") << "the file ends too early";
  EXPECT_EQ(read(reader, "g", 0, bytes_), "not_found");
}

TEST_F(LocalReaderTest, OpensAFileAnewWhenItHoldsSomethingElse) {
  LocalReader reader({});
  write("f", std::string(bytes_.size(), 'x'));
  EXPECT_EQ(read(reader, "f", 0, bytes_), "corrupt");
  std::filesystem::remove(path("f"));
  write("f", bytes_);
  EXPECT_EQ(read(reader, "f", 0, bytes_), "right");
}

TEST_F(LocalReaderTest, FollowsNoLinksAndHangsOnNoFifo) {
  LocalReader reader({});
  write("f", bytes_);
  std::filesystem::create_symlink(path("f"), path("link"));
  EXPECT_NE(read(reader, "link", 0, bytes_), "right");
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_NE(read(reader, "fifo", 0, bytes_), "right");
}

TEST_F(LocalReaderTest, KeepsABoundedNumberOfFilesOpen) {
  LocalReader reader({.files_max = 2});
  for (const char* name : {"a", "b", "c", "a", "d"}) {
    write(name, bytes_);
    EXPECT_EQ(read(reader, name, 0, bytes_), "right");
    EXPECT_LE(reader.open_count(), 2u);
  }
}

TEST_F(LocalReaderTest, RefusesMoreWaitingReadsThanItMayHave) {
  LocalReader reader({.threads = 1, .queue_max = 1});
  std::promise<void> started;
  std::promise<void> go_on;
  ASSERT_TRUE(reader.run([&] {
    started.set_value();
    go_on.get_future().wait();
  }));
  started.get_future().wait();
  ASSERT_TRUE(reader.run([] {}));
  EXPECT_EQ(reader.run([] {}).error().code, Errc::overloaded);
  go_on.set_value();
}

}  // namespace
}  // namespace dfs
