// Reads past the server: from its file, where the two are on one machine.
#include <fstream>

#include "tests/support/temporary_directory.h"
#include "tests/unit/common/rpc/storage_client_fixture.h"

namespace dfs {
namespace {

class LocalStorageClientTest : public StorageClientTest {
 protected:
  void SetUp() override {
    start();
    const std::string address = address_;
    server_.reset();
    start(address);  // a known port has a unix socket beside it
    const auto path = directory_.path() / "file";
    storage_.file = path.string();
    bytes_ = some_bytes(3 * MiB + 5);
    storage_.chunks[chunk(1)] = bytes_;
    write_file(bytes_);
    connect({.cluster = "home", .local_reader = reader_});
  }
  void write_file(const std::string& bytes) {
    std::ofstream(storage_.file, std::ios::binary | std::ios::trunc) << bytes;
  }
  // "right", "wrong", or the error.
  std::string read(std::uint32_t offset, std::uint32_t length) {
    std::string back(length, '\0');
    const auto results = get({{chunk(1), offset, length, data_of(back)}});
    if (!results.at(0)) return std::string(name_of(results[0].error().code));
    return back == bytes_.substr(offset, length) ? "right" : "wrong";
  }
  std::size_t asked_locally() {
    const std::lock_guard lock(storage_.mutex);
    return storage_.local_questions;
  }
  std::size_t asked_otherwise() {
    const std::lock_guard lock(storage_.mutex);
    return storage_.other_questions;
  }

  TemporaryDirectory directory_;
  std::shared_ptr<LocalReader> reader_ = std::make_shared<LocalReader>(LocalReader::Options{});
  std::string bytes_;
};

TEST_F(LocalStorageClientTest, ReadsFromTheFileWhatTheServerSaysIsThere) {
  storage_.corrupts = false;
  EXPECT_EQ(read(0, 3 * MiB + 5), "right");
  EXPECT_EQ(read(kBlockSize, MiB), "right");
  EXPECT_EQ(read(17, 100), "right") << "sent: no whole blocks";
  EXPECT_EQ(asked_locally(), 3u);
  EXPECT_EQ(asked_otherwise(), 0u);
  EXPECT_EQ(reader_->open_count(), 1u);
}

TEST_F(LocalStorageClientTest, AsksForTheBytesWhenTheFileHasOthers) {
  std::string other = bytes_;
  other[2 * MiB] ^= 1;
  write_file(other);
  EXPECT_EQ(read(0, 3 * MiB), "right");
  EXPECT_EQ(asked_locally(), 1u);
  EXPECT_EQ(asked_otherwise(), 1u);
  write_file(bytes_.substr(0, MiB));
  EXPECT_EQ(read(0, 3 * MiB), "right");
  EXPECT_EQ(asked_locally(), 2u) << "a chunk that moved is no reason to give up";
}

TEST_F(LocalStorageClientTest, AsksForBytesOnlyWhenTheFilesCannotBeOpened) {
  storage_.file = "/nowhere/file";
  EXPECT_EQ(read(0, 3 * MiB), "right");
  EXPECT_EQ(read(0, MiB), "right");
  EXPECT_EQ(asked_locally(), 1u);
  EXPECT_EQ(asked_otherwise(), 2u);
}

TEST_F(LocalStorageClientTest, TellsEachRangeItsOwnOutcome) {
  std::string other = bytes_;
  other[0] ^= 1;
  write_file(other);
  std::string first(MiB, '\0');
  std::string second(MiB, '\0');
  std::string third(MiB, '\0');
  const auto results = get({{chunk(1), 0, MiB, data_of(first)},
                            {chunk(2), 0, MiB, data_of(second)},
                            {chunk(1), MiB, MiB, data_of(third)}});
  ASSERT_TRUE(results.at(0));
  EXPECT_EQ(first, bytes_.substr(0, MiB));
  EXPECT_EQ(results.at(1).error().code, Errc::not_found);
  ASSERT_TRUE(results.at(2));
  EXPECT_EQ(third, bytes_.substr(MiB, MiB));
  EXPECT_EQ(asked_otherwise(), 1u);
}

}  // namespace
}  // namespace dfs
