#include "common/kv/rocksdb_log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "common/base/bytes.h"

namespace dfs::rocksdb_log {
namespace {

constexpr std::size_t kBlockBytes = 32 << 10;
constexpr std::size_t kHeaderBytes = 7;  // checksum 4, length 2, type 1
constexpr std::size_t kBatchHeaderBytes = 12;  // sequence 8, count 4
enum RecordType : unsigned char { kZero = 0, kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };
constexpr char kLogDataTag = 3;
constexpr std::string_view kMarkMagic = "dfsS";

// CRC-32C, as RocksDB's log uses it (polynomial 0x1EDC6F41, reflected), eight
// bytes at a time.
using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;
constexpr CrcTables make_crc_tables() {
  CrcTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t table = 1; table < 8; ++table) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[table - 1][byte];
      tables[table][byte] = (before >> 8) ^ tables[0][before & 255];
    }
  }
  return tables;
}
constexpr CrcTables kCrc = make_crc_tables();

std::uint32_t crc32c(std::string_view data) {
  std::uint32_t crc = 0xffffffffu;
  while (data.size() >= 8) {
    const std::uint64_t word = load_le<std::uint64_t>(data.data()) ^ crc;
    crc = 0;
    for (std::size_t i = 0; i < 8; ++i) crc ^= kCrc[7 - i][word >> (8 * i) & 255];
    data.remove_prefix(8);
  }
  for (const char byte : data) crc = (crc >> 8) ^ kCrc[0][(crc ^ static_cast<unsigned char>(byte)) & 255];
  return ~crc;
}
// The log stores checksums rotated and moved, so that a checksum of data that
// holds checksums stays useful.
std::uint32_t unmasked(std::uint32_t stored) {
  const std::uint32_t rotated = stored - 0xa282ead8u;
  return rotated >> 17 | rotated << 15;
}

struct Place {
  std::filesystem::path file;
  std::uint64_t offset = 0;
};

// Goes over all records of all log files in order and decides.
class Checker {
 public:
  // A record's first fragment, whose checksum holds.
  Result<void> on_batch(std::string_view batch) {
    if (batch.size() < kBatchHeaderBytes) return {};
    const auto sequence = load_le<std::uint64_t>(batch.data());
    const auto count = load_le<std::uint32_t>(batch.data() + 8);
    if (bad_ && !first_lost_) first_lost_ = expected_ ? *expected_ : sequence - 1;
    // A record cut off by a crash or a full disk, then written again.
    const bool nothing_lost = bad_ && sequence == first_lost_ && expected_;
    if (nothing_lost) {
      bad_.reset();
      first_lost_.reset();
    }
    if (const auto synced = mark_in(batch); bad_ && synced && *synced >= *first_lost_)
      return fail(Errc::corrupt,
                  fmt::format("{} is damaged at offset {}: a record there was on stable media and does not "
                              "hold any more; restore the directory from a copy",
                              bad_->file.string(), bad_->offset));
    expected_ = sequence + count;
    return {};
  }
  void on_bad(const Place& place) {
    if (!bad_) bad_ = place;
  }

 private:
  static std::optional<std::uint64_t> mark_in(std::string_view batch) {
    const std::string_view body = batch.substr(kBatchHeaderBytes);
    constexpr std::size_t kTagAndLength = 2;
    constexpr std::size_t kMarkBytes = std::tuple_size_v<decltype(Mark::bytes)>;
    if (body.size() < kTagAndLength + kMarkBytes || body[0] != kLogDataTag || body[1] != kMarkBytes)
      return std::nullopt;
    const std::string_view mark = body.substr(kTagAndLength, kMarkBytes);
    if (!mark.starts_with(kMarkMagic)) return std::nullopt;
    return load_le<std::uint64_t>(mark.data() + kMarkMagic.size());
  }

  std::optional<std::uint64_t> expected_;    // the next record's sequence
  std::optional<Place> bad_;                 // the first record that does not hold
  std::optional<std::uint64_t> first_lost_;  // the sequence it had
};

// One block: records end to end, never crossing its border.
Result<void> check_block(std::string_view block, const Place& place, Checker& checker) {
  std::size_t at = 0;
  while (block.size() - at >= kHeaderBytes) {
    const char* const header = block.data() + at;
    const auto length = load_le<std::uint16_t>(header + 4);
    const auto type = static_cast<unsigned char>(header[6]);
    const bool is_unwritten = type == kZero && length == 0;
    const bool is_whole = block.size() - at - kHeaderBytes >= length;
    const bool holds = !is_unwritten && is_whole &&
                       unmasked(load_le<std::uint32_t>(header)) == crc32c({header + 6, 1u + length});
    if (!holds) {
      // Where the next record starts cannot be known; the next block's can.
      checker.on_bad({place.file, place.offset + at});
      return {};
    }
    if (type == kFull || type == kFirst) TRY(checker.on_batch({header + kHeaderBytes, length}));
    at += kHeaderBytes + length;
  }
  return {};
}

Result<void> check_file(const std::filesystem::path& path, Checker& checker) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno(errno, "opening " + path.string());
  std::vector<char> block(kBlockBytes);
  for (std::uint64_t offset = 0; file; offset += kBlockBytes) {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    if (file.bad()) return fail(Errc::io, "reading " + path.string() + " failed");
    const std::string_view read(block.data(), static_cast<std::size_t>(file.gcount()));
    TRY(check_block(read, {path, offset}, checker));
  }
  return {};
}

bool is_log_file(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  return path.extension() == ".log" && !stem.empty() &&
         std::all_of(stem.begin(), stem.end(), [](char letter) { return letter >= '0' && letter <= '9'; });
}

}  // namespace

Mark synced_mark(std::uint64_t sequence) {
  Mark mark;
  std::memcpy(mark.bytes.data(), kMarkMagic.data(), kMarkMagic.size());
  store_le(mark.bytes.data() + kMarkMagic.size(), sequence);
  return mark;
}

Result<void> check(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (is_log_file(entry.path())) files.push_back(entry.path());
  }
  if (error) return fail_errno(error.value(), "listing " + directory.string());
  // Six digits and more: longer numbers are later.
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    const std::string left = a.filename().string();
    const std::string right = b.filename().string();
    return left.size() != right.size() ? left.size() < right.size() : left < right;
  });
  Checker checker;
  for (const std::filesystem::path& file : files) TRY(check_file(file, checker));
  return {};
}

}  // namespace dfs::rocksdb_log
