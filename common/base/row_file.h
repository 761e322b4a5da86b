// Rows - a key and a value each - in one file that says of itself whether it is
// whole: how metadata is backed up, and what a storage server has is written
// down.
//
//   file    "DFSROWS1", then blocks: one HEAD, any number of ROWS, one LAST; nothing behind it
//   block    0  u32 kind: the letters HEAD, ROWS or LAST
//            4  u32 length: bytes of the body, at most 16 MiB
//            8  body
//            .. u64 XXH3-64 of the block before's checksum (of HEAD: 0) and of all
//               of this block that stands before
//   HEAD    "key = value", a line each: what the file is and whose
//   ROWS    u32 length of the key, u32 length of the value, key, value; again and again
//   LAST    u64 rows
//
// Numbers are little-endian. Since each checksum goes on from the one before it,
// blocks that are missing, doubled or another file's do not hold either.
//
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs {

// Keys and values are one line each, keys without " = ".
using RowFileFacts = std::map<std::string, std::string, std::less<>>;

// The form of one row in a block, and of rows on their way to one.
void append_row(std::string& rows, std::string_view key, std::string_view value);
// Takes the first row off `rows`; both views point into it. False if there is
// no whole one.
bool take_row(std::string_view& rows, std::string_view& key, std::string_view& value);

struct RowFileSummary {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;  // of the file
};

class RowFileWriter {
 public:
  // The file has another name (`path` and ".unfinished") until finish() has
  // returned: what stands at `path` is replaced whole or not at all.
  static Result<RowFileWriter> create(const std::filesystem::path& path, const RowFileFacts& facts);
  // Writes to a pipe or the like instead; `name` is for messages.
  static Result<RowFileWriter> onto(UniqueFd file, std::string name, const RowFileFacts& facts);
  // Removes a file that was not finished.
  ~RowFileWriter();
  RowFileWriter(RowFileWriter&& other) noexcept;
  RowFileWriter& operator=(RowFileWriter&&) = delete;

  // A row may have 8 MiB.
  Result<void> add(std::string_view key, std::string_view value);
  // On stable media under its name afterwards. Nothing may be added then.
  Result<RowFileSummary> finish();

 private:
  RowFileWriter(UniqueFd file, std::filesystem::path path, std::filesystem::path final_path)
      : file_(std::move(file)), path_(std::move(path)), final_path_(std::move(final_path)) {}
  Result<void> begin(const RowFileFacts& facts);
  Result<void> write_block(std::string_view kind, std::string_view body);
  Result<void> write(std::string_view bytes);

  UniqueFd file_;
  std::filesystem::path path_;
  std::filesystem::path final_path_;  // empty: has no name of its own
  std::string rows_;                  // not written yet
  std::string block_;
  std::uint64_t chained_ = 0;
  RowFileSummary summary_;
  bool finished_ = false;
};

class RowFileReader {
 public:
  //   not_found, ...  the file cannot be opened
  //   invalid         it is no such file
  //   wrong_version   of a later format
  //   corrupt         cut off, or damaged; the text says where
  static Result<RowFileReader> open(const std::filesystem::path& path);

  const RowFileFacts& facts() const { return facts_; }
  // One of them; "" if the file does not say it.
  const std::string& fact(std::string_view key) const;

  // The next row; the views hold until the next call. False once all rows have
  // come and the file has turned out to be whole: until then, what has come may
  // be a part of something that was cut off.
  //   corrupt  as open()
  Result<bool> next(std::string_view& key, std::string_view& value);
  // Of what was read so far.
  const RowFileSummary& summary() const { return summary_; }

 private:
  RowFileReader(UniqueFd file, std::filesystem::path path)
      : file_(std::move(file)), path_(std::move(path)) {}
  // Replaces block_; its kind.
  Result<std::string> read_block();
  Result<std::size_t> read(char* into, std::size_t count);
  Result<void> finish();
  tl::unexpected<Error> damaged(std::string_view why) const;

  UniqueFd file_;
  std::filesystem::path path_;
  RowFileFacts facts_;
  std::string block_;        // the last checksum, kind, length and body
  std::string_view rows_;    // of the block, not given out yet
  std::uint64_t chained_ = 0;
  std::uint64_t block_start_ = 0;
  RowFileSummary summary_;
  bool over_ = false;
};

}  // namespace dfs
