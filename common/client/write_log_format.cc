#include "common/client/write_log_format.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <fmt/format.h>
#include <system_error>

#include "common/base/checksum.h"
#include "common/base/random.h"

namespace dfs {
namespace {

constexpr std::array<char, 8> kSegmentMagic{'d', 'f', 's', 'w', 'l', 'o', 'g', '\n'};
constexpr std::uint32_t kRecordMagic = 0x7277664d;
constexpr std::uint32_t kHasMtime = 1;
constexpr std::uint32_t kClearSetId = 2;
constexpr std::size_t kDigits = 10;
constexpr std::string_view kEnding = ".log";

template <typename Header>
std::uint64_t checksum_before_last(const Header& header) {
  return checksum_of({reinterpret_cast<const std::byte*>(&header), offsetof(Header, checksum)});
}

std::optional<std::uint64_t> number_of(const std::string& name) {
  if (name.size() != kDigits + kEnding.size() || !name.ends_with(kEnding)) return std::nullopt;
  std::uint64_t number = 0;
  const char* const end = name.data() + kDigits;
  const auto [parsed, error] = std::from_chars(name.data(), end, number);
  if (error != std::errc{} || parsed != end) return std::nullopt;
  return number;
}

}  // namespace

LogSegmentHeader make_segment_header(std::uint64_t number, std::uint64_t first_sequence,
                                     std::string_view cluster, const SessionMemo& session) {
  LogSegmentHeader header{};
  header.magic = kSegmentMagic;
  header.version = kLogVersion;
  header.salt = random_number();
  header.number = number;
  header.first_sequence = first_sequence;
  header.session = session;
  std::memcpy(header.cluster.data(), cluster.data(),
              std::min(cluster.size(), header.cluster.size()));
  header.checksum = checksum_before_last(header);
  return header;
}

std::optional<LogSegmentHeader> parse_segment_header(BufferView bytes) {
  LogSegmentHeader header;
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kSegmentMagic || header.checksum != checksum_before_last(header))
    return std::nullopt;
  return header;
}

std::string_view cluster_of(const LogSegmentHeader& header) {
  const auto end = std::find(header.cluster.begin(), header.cluster.end(), '\0');
  return {header.cluster.data(), static_cast<std::size_t>(end - header.cluster.begin())};
}

LogRecordHeader make_record(LogKind kind, InodeId inode, std::uint64_t number) {
  LogRecordHeader header{};
  header.magic = kRecordMagic;
  header.kind = kind;
  header.inode = inode.value();
  header.number = number;
  return header;
}

void set_facts(LogRecordHeader& header, const UnsentFacts& facts) {
  header.data_change = facts.data_change;
  header.mtime = facts.mtime.value_or(0);
  header.flags = (facts.mtime ? kHasMtime : 0) | (facts.clear_set_id ? kClearSetId : 0);
}

UnsentFacts facts_of(const LogRecordHeader& header) {
  UnsentFacts facts;
  facts.data_change = header.data_change;
  if ((header.flags & kHasMtime) != 0) facts.mtime = header.mtime;
  facts.clear_set_id = (header.flags & kClearSetId) != 0;
  return facts;
}

void seal(LogRecordHeader& header, std::uint64_t salt) {
  header.checksum = checksum_before_last(header) ^ salt;
}

std::optional<LogRecord> parse_record(BufferView bytes, std::uint64_t salt) {
  LogRecord record;
  LogRecordHeader& header = record.header;
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kRecordMagic || header.checksum != (checksum_before_last(header) ^ salt))
    return std::nullopt;
  if (log_record_bytes(header) > bytes.size()) return std::nullopt;
  record.payload = bytes.subspan(sizeof header, header.length);
  if (checksum_of(record.payload) != header.payload) return std::nullopt;
  return record;
}

std::vector<LogRange> ranges_of(const LogRecord& cut) {
  std::vector<LogRange> ranges(cut.payload.size() / sizeof(LogRange));
  std::memcpy(ranges.data(), cut.payload.data(), ranges.size() * sizeof(LogRange));
  return ranges;
}

std::filesystem::path segment_path(const std::filesystem::path& directory, std::uint64_t number) {
  return directory / fmt::format("{:0{}}{}", number, kDigits, kEnding);
}

Result<std::vector<std::uint64_t>> list_segments(const std::filesystem::path& directory) {
  std::vector<std::uint64_t> numbers;
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const auto number = number_of(entries->path().filename());
    if (number) numbers.push_back(*number);
  }
  if (error) return fail_errno(error.value(), "listing " + directory.string());
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace dfs
