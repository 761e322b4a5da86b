// The write log on disk: segments DIR/NNNNNNNNNN.log, each a header and then records.
//
//   record   header, payload, zeros up to the next multiple of kLogAlignment
//   behind the last record: nothing, or zeros
//
// Sequences go up by one from record to record and over the segments. A record's own
// checksum holds for one segment only (`salt`): what lies in a block that the disk had
// used before is none.
//
// Numbers are little-endian. Threads: pure.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/client/write_journal.h"
#include "common/rpc/session_memo.h"

namespace dfs {

inline constexpr std::uint32_t kLogVersion = 1;
inline constexpr std::size_t kLogAlignment = 8;

constexpr std::uint64_t log_aligned(std::uint64_t bytes) {
  return (bytes + kLogAlignment - 1) / kLogAlignment * kLogAlignment;
}

struct LogSegmentHeader {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t reserved;
  std::uint64_t salt;
  std::uint64_t number;
  std::uint64_t first_sequence;
  std::array<char, 56> cluster;  // its id, then zeros
  SessionMemo session;           // who the mount was when this was begun
  std::uint64_t checksum;        // of what is before it
};
static_assert(sizeof(LogSegmentHeader) == 128);

LogSegmentHeader make_segment_header(std::uint64_t number, std::uint64_t first_sequence,
                                     std::string_view cluster, const SessionMemo& session);
// Empty if `bytes` are not one, whole.
std::optional<LogSegmentHeader> parse_segment_header(BufferView bytes);
std::string_view cluster_of(const LogSegmentHeader& header);

enum class LogKind : std::uint32_t {
  write = 1,    // the payload is in the file at `number`, and follows the facts
  cut = 2,      // these ranges do not wait any more: the payload is pairs of offset and length
  facts = 3,    // what waits follows these facts now
  intent = 4,   // a commit that begins with chunk `number` is about to move data_change by one
  settled = 5,  // nothing with a sequence below `number` is needed
  session = 6,  // who the mount is now: `inode`, `number`, `data_change` as in SessionMemo
};

struct LogRecordHeader {
  std::uint32_t magic;
  LogKind kind;
  std::uint64_t sequence;
  // What had been on stable media when this was written: if something up to there
  // is damaged, it is not the end of the log that a power loss tore.
  std::uint64_t stable;
  std::uint64_t inode;
  std::uint64_t number;
  std::uint64_t data_change;
  std::int64_t mtime;
  std::uint32_t flags;
  std::uint32_t length;    // of the payload
  std::uint64_t payload;   // its checksum
  std::uint64_t checksum;  // of what is before it, mixed with the segment's salt
};
static_assert(sizeof(LogRecordHeader) == 80);

constexpr std::uint64_t log_record_bytes(const LogRecordHeader& header) {
  return log_aligned(sizeof header + std::uint64_t{header.length});
}

LogRecordHeader make_record(LogKind kind, InodeId inode, std::uint64_t number = 0);
void set_facts(LogRecordHeader& header, const UnsentFacts& facts);
UnsentFacts facts_of(const LogRecordHeader& header);
// The last to be done before it is written.
void seal(LogRecordHeader& header, std::uint64_t salt);
// The whole record that `bytes` begin with, if they begin with one.
struct LogRecord {
  LogRecordHeader header;
  BufferView payload;
};
std::optional<LogRecord> parse_record(BufferView bytes, std::uint64_t salt);

// A range of a file that does not wait any more.
struct LogRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  friend bool operator==(const LogRange&, const LogRange&) = default;
};
std::vector<LogRange> ranges_of(const LogRecord& cut);

std::filesystem::path segment_path(const std::filesystem::path& directory, std::uint64_t number);
// The numbers of the segments that are there, in order.
Result<std::vector<std::uint64_t>> list_segments(const std::filesystem::path& directory);

}  // namespace dfs
