#include "common/base/row_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "common/base/bytes.h"
#include "common/base/checksum.h"

namespace dfs {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "DFSROWS1";
constexpr std::size_t kVersionAt = 7;  // in the magic
constexpr std::string_view kHead = "HEAD";
constexpr std::string_view kRows = "ROWS";
constexpr std::string_view kLast = "LAST";
constexpr std::string_view kUnfinished = ".unfinished";

constexpr std::size_t kBlockBytes = 256 << 10;
constexpr std::size_t kBodyBytesMax = 16 << 20;
constexpr std::size_t kRowBytesMax = 8 << 20;
constexpr std::size_t kRowHeaderBytes = 8;

// In memory a block stands behind the checksum that it goes on from.
constexpr std::size_t kChainBytes = 8;
constexpr std::size_t kBlockHeaderBytes = 8;
constexpr std::size_t kBodyAt = kChainBytes + kBlockHeaderBytes;

void append_u32(std::string& to, std::size_t value) {
  char bytes[4];
  store_le(bytes, static_cast<std::uint32_t>(value));
  to.append(bytes, sizeof bytes);
}
void append_u64(std::string& to, std::uint64_t value) {
  char bytes[8];
  store_le(bytes, value);
  to.append(bytes, sizeof bytes);
}

Result<RowFileFacts> parse_facts(std::string_view text) {
  RowFileFacts facts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t middle = line.find(" = ");
    if (middle == std::string_view::npos) return fail(Errc::corrupt, "its head is not readable");
    facts.emplace(line.substr(0, middle), line.substr(middle + 3));
  }
  return facts;
}

}  // namespace

void append_row(std::string& rows, std::string_view key, std::string_view value) {
  append_u32(rows, key.size());
  append_u32(rows, value.size());
  rows.append(key).append(value);
}

bool take_row(std::string_view& rows, std::string_view& key, std::string_view& value) {
  if (rows.size() < kRowHeaderBytes) return false;
  const std::size_t key_size = load_le<std::uint32_t>(rows.data());
  const std::size_t value_size = load_le<std::uint32_t>(rows.data() + 4);
  if (rows.size() - kRowHeaderBytes < key_size + value_size) return false;
  key = rows.substr(kRowHeaderBytes, key_size);
  value = rows.substr(kRowHeaderBytes + key_size, value_size);
  rows.remove_prefix(kRowHeaderBytes + key_size + value_size);
  return true;
}

// --- writing ---------------------------------------------------------------------------

Result<RowFileWriter> RowFileWriter::create(const fs::path& path, const RowFileFacts& facts) {
  fs::path unfinished = path;
  unfinished += kUnfinished;
  UniqueFd file(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return fail_errno(errno, unfinished.string());
  RowFileWriter writer(std::move(file), std::move(unfinished), path);
  TRY(writer.begin(facts));
  return writer;
}

Result<RowFileWriter> RowFileWriter::onto(UniqueFd file, std::string name,
                                          const RowFileFacts& facts) {
  RowFileWriter writer(std::move(file), std::move(name), {});
  TRY(writer.begin(facts));
  return writer;
}

RowFileWriter::RowFileWriter(RowFileWriter&& other) noexcept
    : file_(std::move(other.file_)),
      path_(std::move(other.path_)),
      final_path_(std::exchange(other.final_path_, {})),
      rows_(std::move(other.rows_)),
      block_(std::move(other.block_)),
      chained_(other.chained_),
      summary_(other.summary_),
      finished_(other.finished_) {}

RowFileWriter::~RowFileWriter() {
  if (!final_path_.empty() && !finished_) ::unlink(path_.c_str());
}

Result<void> RowFileWriter::begin(const RowFileFacts& facts) {
  std::string head;
  for (const auto& [key, value] : facts) {
    const bool is_line = key.find('\n') == std::string::npos && value.find('\n') == std::string::npos;
    invariant(is_line && key.find(" = ") == std::string::npos, "facts of a row file are lines");
    head.append(key).append(" = ").append(value).append("\n");
  }
  TRY(write(kMagic));
  return write_block(kHead, head);
}

Result<void> RowFileWriter::add(std::string_view key, std::string_view value) {
  invariant(!finished_, "rows are added before the end");
  if (key.size() + value.size() > kRowBytesMax)
    return fail(Errc::invalid, fmt::format("a row of {} bytes does not fit into {}",
                                           key.size() + value.size(), path_.string()));
  append_row(rows_, key, value);
  ++summary_.rows;
  if (rows_.size() < kBlockBytes) return {};
  TRY(write_block(kRows, rows_));
  rows_.clear();
  return {};
}

Result<RowFileSummary> RowFileWriter::finish() {
  if (!rows_.empty()) TRY(write_block(kRows, rows_));
  rows_.clear();
  std::string last;
  append_u64(last, summary_.rows);
  TRY(write_block(kLast, last));
  if (final_path_.empty()) {
    finished_ = true;
    return summary_;
  }
  if (::fsync(file_.get()) != 0) return fail_errno(errno, "syncing " + path_.string());
  if (::rename(path_.c_str(), final_path_.c_str()) != 0)
    return fail_errno(errno, final_path_.string());
  finished_ = true;
  const fs::path parent = final_path_.has_parent_path() ? final_path_.parent_path() : fs::path(".");
  const UniqueFd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0)
    return fail_errno(errno, "syncing " + parent.string());
  return summary_;
}

Result<void> RowFileWriter::write_block(std::string_view kind, std::string_view body) {
  block_.clear();
  append_u64(block_, chained_);
  block_.append(kind);
  append_u32(block_, body.size());
  block_.append(body);
  chained_ = checksum_of(as_bytes(block_));
  append_u64(block_, chained_);
  return write(std::string_view(block_).substr(kChainBytes));
}

Result<void> RowFileWriter::write(std::string_view bytes) {
  summary_.bytes += bytes.size();
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "writing " + path_.string());
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

// --- reading ---------------------------------------------------------------------------

Result<RowFileReader> RowFileReader::open(const fs::path& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno, path.string());
  RowFileReader reader(std::move(file), path);
  char magic[kMagic.size()];
  const std::size_t got = TRY(reader.read(magic, sizeof magic));
  const std::string_view found(magic, got);
  if (got != kMagic.size() || found.substr(0, kVersionAt) != kMagic.substr(0, kVersionAt))
    return fail(Errc::invalid, fmt::format("{} is neither a backup of metadata nor an inventory of "
                                           "chunks",
                                           path.string()));
  if (found != kMagic)
    return fail(Errc::wrong_version,
                fmt::format("{} has version {} of its format; this program reads version {}",
                            path.string(), found[kVersionAt], kMagic[kVersionAt]));
  const std::string kind = TRY(reader.read_block());
  if (kind != kHead) return reader.damaged("it does not begin with its head");
  auto facts = parse_facts(std::string_view(reader.block_).substr(kBodyAt));
  if (!facts) return reader.damaged(facts.error().text);
  reader.facts_ = std::move(*facts);
  return reader;
}

const std::string& RowFileReader::fact(std::string_view key) const {
  static const std::string kNone;
  const auto found = facts_.find(key);
  return found == facts_.end() ? kNone : found->second;
}

Result<bool> RowFileReader::next(std::string_view& key, std::string_view& value) {
  while (rows_.empty() && !over_) {
    const std::string kind = TRY(read_block());
    if (kind == kLast) {
      TRY(finish());
    } else if (kind == kRows) {
      rows_ = std::string_view(block_).substr(kBodyAt);
    } else {
      return damaged("it holds a block of unknown kind");
    }
  }
  if (over_) return false;
  if (!take_row(rows_, key, value)) return damaged("it holds a row that is not whole");
  ++summary_.rows;
  return true;
}

Result<void> RowFileReader::finish() {
  const std::string_view body = std::string_view(block_).substr(kBodyAt);
  if (body.size() != 8 || load_le<std::uint64_t>(body.data()) != summary_.rows)
    return damaged("it holds another number of rows than it says");
  char more = 0;
  const std::size_t got = TRY(read(&more, 1));
  if (got != 0) return damaged("something stands behind its end");
  over_ = true;
  return {};
}

Result<std::string> RowFileReader::read_block() {
  block_start_ = summary_.bytes;
  block_.resize(kBodyAt);
  store_le(block_.data(), chained_);
  const auto cut_off = [this] {
    return fail(Errc::corrupt,
                fmt::format("{} was cut off, or is not finished: it ends after {} bytes, in the "
                            "middle of the block at {}",
                            path_.string(), summary_.bytes, block_start_));
  };
  const std::size_t header = TRY(read(block_.data() + kChainBytes, kBlockHeaderBytes));
  if (header != kBlockHeaderBytes) return cut_off();
  std::string kind = block_.substr(kChainBytes, kHead.size());
  const std::size_t length = load_le<std::uint32_t>(block_.data() + kChainBytes + kHead.size());
  if (length > kBodyBytesMax || (kind != kHead && kind != kRows && kind != kLast))
    return damaged("no block begins there");
  block_.resize(kBodyAt + length);
  const std::size_t body = TRY(read(block_.data() + kBodyAt, length));
  char sum[8];
  const std::size_t end = TRY(read(sum, sizeof sum));
  if (body != length || end != sizeof sum) return cut_off();
  chained_ = checksum_of(as_bytes(block_));
  if (chained_ != load_le<std::uint64_t>(sum)) return damaged("its checksum does not hold");
  return kind;
}

Result<std::size_t> RowFileReader::read(char* into, std::size_t count) {
  std::size_t got = 0;
  while (got < count) {
    const ssize_t part = ::read(file_.get(), into + got, count - got);
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return fail_errno(errno, "reading " + path_.string());
    if (part == 0) break;
    got += static_cast<std::size_t>(part);
  }
  summary_.bytes += got;
  return got;
}

tl::unexpected<Error> RowFileReader::damaged(std::string_view why) const {
  return fail(Errc::corrupt, fmt::format("{} is damaged in the block at {}: {}", path_.string(),
                                         block_start_, why));
}

}  // namespace dfs
