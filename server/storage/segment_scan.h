// Finds the records of a segment by reading it: how an index is rebuilt and
// what a start does with everything newer than the last checkpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "common/base/result.h"
#include "server/storage/disk.h"
#include "server/storage/segment_format.h"

namespace dfs::storage {

// How much of a record is looked at before it is believed.
enum class ScanDepth {
  headers,  // for sealed segments: the rest was stable when they were sealed
  data,     // for the others: what power loss tore is no record
};

struct ScanRequest {
  // Nothing: not known (the segment header is damaged); that of the first
  // record that was written for the place where it is found.
  std::optional<std::uint64_t> salt;
  std::uint64_t from = kSegmentHeaderBytes;
  ScanDepth depth = ScanDepth::data;
};

// Bytes on disk that are no record: unfinished, torn, or damaged.
struct ScanGap {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool zeros = false;  // nothing but zeros: a deleted record
};

struct ScanVisitor {
  std::function<Result<void>(const RecordHeader&)> record;
  std::function<Result<void>(const ScanGap&)> gap;
};

struct ScanSummary {
  std::uint64_t end = kSegmentHeaderBytes;  // past the last record; not below `from`
  std::optional<std::uint64_t> salt;
};

// Visits records and gaps in order of place. Errors: those of the disk and of
// the visitor.
Result<ScanSummary> scan_segment(const DiskFile& file, const ScanRequest& request,
                                 const ScanVisitor& visitor);

// The record at `place`, header and table checked; nothing if there is none.
Result<std::optional<RecordHeader>> read_record_header(const DiskFile& file, std::uint64_t place);

}  // namespace dfs::storage
