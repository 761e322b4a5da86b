#include "common/base/row_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace dfs {
namespace {

namespace fs = std::filesystem;
using Rows = std::vector<std::pair<std::string, std::string>>;

class RowFile : public ::testing::Test {
 protected:
  // A few hundred kilobytes, so that there are several blocks.
  static Rows some_rows() {
    Rows rows{{"", ""}, {"key", std::string("a\0b\n", 4)}};
    for (int i = 0; i < 600; ++i) rows.emplace_back("row " + std::to_string(i), std::string(1'000, 'x'));
    return rows;
  }
  void write(const Rows& rows) {
    auto writer = RowFileWriter::create(path_, {{"what", "test"}, {"cluster", "c1"}});
    ASSERT_TRUE(writer);
    for (const auto& [key, value] : rows) ASSERT_TRUE(writer->add(key, value));
    const auto summary = writer->finish();
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->rows, rows.size());
    EXPECT_EQ(summary->bytes, fs::file_size(path_));
  }
  static Result<Rows> read(const fs::path& path) {
    RowFileReader reader = TRY(RowFileReader::open(path));
    Rows rows;
    std::string_view key;
    std::string_view value;
    while (true) {
      const bool more = TRY(reader.next(key, value));
      if (!more) return rows;
      rows.emplace_back(key, value);
    }
  }
  std::string bytes() const {
    std::stringstream all;
    all << std::ifstream(path_, std::ios::binary).rdbuf();
    return all.str();
  }
  void put_bytes(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }

  const TemporaryDirectory temporary_;
  const fs::path directory_ = temporary_.path();
  const fs::path path_ = directory_ / "rows";
};

TEST_F(RowFile, GivesBackWhatWasWritten) {
  const Rows rows = some_rows();
  write(rows);
  const auto found = read(path_);
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(*found, rows);
  const auto reader = RowFileReader::open(path_);
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->fact("what"), "test");
  EXPECT_EQ(reader->fact("cluster"), "c1");
  EXPECT_EQ(reader->fact("other"), "");
}

TEST_F(RowFile, MayHaveNoRows) {
  write({});
  const auto found = read(path_);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->empty());
}

TEST_F(RowFile, IsRefusedWhereverItWasCutOff) {
  write(some_rows());
  const std::string whole = bytes();
  for (std::size_t length = 0; length < whole.size(); length += length < 64 ? 1 : 4'099) {
    put_bytes(whole.substr(0, length));
    EXPECT_FALSE(read(path_)) << length;
  }
  put_bytes(whole.substr(0, whole.size() - 1));
  const auto found = read(path_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::corrupt);
  EXPECT_NE(found.error().text.find("cut off"), std::string::npos) << found.error().text;
}

TEST_F(RowFile, IsRefusedWithAnyByteChanged) {
  write({{"key", "value"}, {"other", "row"}});
  const std::string whole = bytes();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    put_bytes(damaged);
    EXPECT_FALSE(read(path_)) << at;
  }
}

TEST_F(RowFile, IsRefusedWithBytesBehindItsEndAndWithABlockLeftOut) {
  const Rows rows = some_rows();
  write(rows);
  const std::string whole = bytes();
  put_bytes(whole + "x");
  EXPECT_FALSE(read(path_));

  const std::size_t first = whole.find("ROWS");
  const std::size_t second = whole.find("ROWS", first + 1);
  ASSERT_NE(second, std::string::npos);
  put_bytes(whole.substr(0, first) + whole.substr(second));
  EXPECT_FALSE(read(path_));
}

TEST_F(RowFile, IsToldFromOtherFilesAndLaterVersions) {
  put_bytes("something else that is long enough");
  EXPECT_EQ(read(path_).error().code, Errc::invalid);
  write({});
  std::string later = bytes();
  later[7] = '2';
  put_bytes(later);
  EXPECT_EQ(read(path_).error().code, Errc::wrong_version);
  EXPECT_EQ(read(directory_ / "nothing").error().code, Errc::not_found);
}

TEST_F(RowFile, LeavesWhatWasThereUntilItIsFinished) {
  write({{"old", "one"}});
  {
    auto writer = RowFileWriter::create(path_, {});
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->add("new", "one"));
  }
  const auto found = read(path_);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (Rows{{"old", "one"}}));
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace dfs
