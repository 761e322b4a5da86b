#include "server/storage/recovery.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "common/base/log.h"
#include "server/storage/segment_scan.h"

namespace dfs::storage {
namespace {

// Found records are written to the index in batches of this many.
constexpr std::size_t kBatch = 65536;
// Not 0: a record that recovery found is not in the rows yet.
constexpr SyncTicket kFoundTicket = 1;

class Recovery {
 public:
  Recovery(Disk& disk, const std::filesystem::path& directory, SegmentSet& segments,
           ChunkIndex& index)
      : disk_(disk), directory_(directory), segments_(segments), index_(index) {}

  Result<RecoveryReport> run() {
    rows_ = TRY(index_.segments());
    report_.next_serial = TRY(index_.serial());
    const auto numbers = TRY(list_segments());
    TRY(forget_lost_segments(numbers));
    for (const std::uint32_t number : numbers) TRY(take_in(number));
    TRY(settle());
    TRY(punch_losers());
    for (const auto& [number, row] : rows_) {
      const auto found = open_.find(number);
      if (found == open_.end()) {
        segments_.adopt_sealed(row);
      } else {
        segments_.adopt_open(row, found->second, row.scanned_to);
      }
    }
    ++report_.next_serial;
    return report_;
  }

 private:
  Result<std::set<std::uint32_t>> list_segments() {
    const auto names = TRY(disk_.list(directory_));
    std::set<std::uint32_t> numbers;
    for (const std::string& name : names) {
      if (const auto number = parse_segment_file_name(name)) {
        numbers.insert(*number);
      } else {
        log_warn("storage", "{} is no segment and is left alone", (directory_ / name).string());
      }
    }
    return numbers;
  }

  // A segment without chunks was being removed; one with chunks is a loss.
  Result<void> forget_lost_segments(const std::set<std::uint32_t>& numbers) {
    std::set<std::uint32_t> lost;
    for (const auto& [number, row] : rows_) {
      if (numbers.contains(number)) continue;
      lost.insert(number);
      if (row.live_records > 0) {
        log_error("storage", "{} is missing, with {} chunks", segments_.files().path(number).string(),
                  row.live_records);
      }
    }
    if (lost.empty()) return {};
    TRY(index_.erase_places([&](const ChunkPlace& place) { return lost.contains(place.segment); }));
    for (const std::uint32_t number : lost) {
      TRY(index_.erase_segment(number));
      rows_.erase(number);
    }
    return {};
  }

  Result<void> take_in(std::uint32_t number) {
    const auto row = rows_.find(number);
    if (row != rows_.end() && row->second.sealed) return {};

    const auto file = TRY(segments_.files().open(number));
    SegmentHeaderBytes bytes{};
    const std::size_t got = TRY(file->read(0, bytes));
    auto header = decode_segment_header(BufferView(bytes).first(got));
    if (header && header->number != number) header.reset();
    if (header && row != rows_.end() && header->salt != row->second.salt)
      return fail(Errc::corrupt, "the index does not belong to these segments");
    if (header && header->sealed) return scan_sealed(*header, *file);
    return scan_open(number, header, file);
  }

  Result<void> scan_sealed(const SegmentHeader& header, const DiskFile& file) {
    SegmentRow& row = row_for(header.number, header.salt);
    const ScanRequest request{
        .salt = header.salt, .from = row.scanned_to, .depth = ScanDepth::headers};
    const ScanVisitor visitor{
        .record = [&](const RecordHeader& record) { return consider(row, record); },
        .gap = [&](const ScanGap& gap) -> Result<void> {
          if (gap.zeros) return {};
          report_.damaged_bytes += gap.length;
          log_error("storage", "{}: {} bytes from {} on are damaged: no record there is readable",
                    segments_.files().path(header.number).string(), gap.length, gap.offset);
          return {};
        }};
    TRY(scan_segment(file, request, visitor));
    row.scanned_to = header.end;
    row.sealed = true;  // not before: a batch of found records may be written in between
    return {};
  }

  Result<void> scan_open(std::uint32_t number, const std::optional<SegmentHeader>& header,
                         const std::shared_ptr<DiskFile>& file) {
    const bool known = rows_.contains(number);
    // The last record's block need not be written to its end.
    const std::uint64_t size = TRY(file->size());
    const std::uint64_t end = (size + kDiskBlock - 1) / kDiskBlock * kDiskBlock;
    if (known && rows_[number].scanned_to > std::max(end, kSegmentHeaderBytes))
      return fail(Errc::corrupt, "the index knows of more than these segments have");
    std::optional<std::uint64_t> salt;
    if (header) salt = header->salt;
    if (known) salt = rows_[number].salt;

    // First only look: without a salt there may be nothing to keep.
    std::vector<RecordHeader> records;
    std::vector<ScanGap> gaps;
    const ScanRequest request{
        .salt = salt,
        .from = known ? rows_[number].scanned_to : kSegmentHeaderBytes,
        .depth = ScanDepth::data};
    const ScanVisitor visitor{.record = [&](const RecordHeader& record) -> Result<void> {
                                records.push_back(record);
                                return {};
                              },
                              .gap = [&](const ScanGap& gap) -> Result<void> {
                                gaps.push_back(gap);
                                return {};
                              }};
    const ScanSummary summary = TRY(scan_segment(*file, request, visitor));
    if (!summary.salt) return segments_.files().remove(number);  // its making was interrupted

    for (const ScanGap& gap : gaps) {
      if (!gap.zeros) ++report_.torn;
      if (gap.offset < summary.end) TRY(file->punch(gap.offset, gap.length));
    }
    TRY(file->truncate(summary.end));
    if (!header) {
      const SegmentHeaderBytes bytes = encode(SegmentHeader{.number = number, .salt = *summary.salt});
      const BufferView piece(bytes);
      TRY(file->write(0, {&piece, 1}));
      log_warn("storage", "{}: the header was damaged and has been written again",
               segments_.files().path(number).string());
    }
    TRY(file->sync());

    SegmentRow& row = row_for(number, *summary.salt);
    for (const RecordHeader& record : records) TRY(consider(row, record));
    row.scanned_to = summary.end;
    open_[number] = file;
    return {};
  }

  SegmentRow& row_for(std::uint32_t number, std::uint64_t salt) {
    SegmentRow& row = rows_[number];
    row.number = number;
    row.salt = salt;
    return row;
  }

  // Takes a valid record into the index unless a newer one of its chunk is there.
  Result<void> consider(SegmentRow& row, const RecordHeader& record) {
    report_.next_serial = std::max(report_.next_serial, record.serial);
    const ChunkId chunk = record.meta.chunk;
    const ChunkPlace place{
        .segment = row.number, .length = record.meta.length, .offset = record.place};
    const auto other = TRY(index_.find(chunk));
    if (other && other->place == place) return {};
    if (other) {
      const auto other_file = TRY(segments_.files().open(other->place.segment));
      const auto other_record = TRY(read_record_header(*other_file, other->place.offset));
      if (other_record && other_record->meta.chunk == chunk &&
          other_record->serial > record.serial) {
        losers_.push_back(place);
        return {};
      }
      TRY(forget(chunk, *other));
      losers_.push_back(other->place);
    }
    index_.add(chunk, place, kFoundTicket);
    ++report_.records_found;
    if (index_.young_count() < kBatch) return {};
    return settle();
  }

  Result<void> forget(ChunkId chunk, const IndexedChunk& indexed) {
    std::vector<SegmentRow> changed;
    if (indexed.ticket != kFoundTicket) {
      SegmentRow& row = rows_[indexed.place.segment];
      --row.live_records;
      row.live_bytes -= record_bytes(indexed.place.length);
      changed.push_back(row);
    }
    return index_.erase({&chunk, 1}, changed);
  }

  Result<void> settle() {
    for (const auto& [chunk, indexed] : index_.begin_settling()) {
      SegmentRow& row = rows_[indexed.place.segment];
      ++row.live_records;
      row.live_bytes += record_bytes(indexed.place.length);
    }
    std::vector<SegmentRow> rows;
    for (const auto& [number, row] : rows_) rows.push_back(row);
    return index_.settle(rows, report_.next_serial);
  }

  // Only now, when the winners are stable and indexed.
  Result<void> punch_losers() {
    for (const ChunkPlace& place : losers_) {
      const auto file = TRY(segments_.files().open(place.segment));
      TRY(file->punch(place.offset, record_bytes(place.length)));
      TRY(file->sync());
    }
    return {};
  }

  Disk& disk_;
  const std::filesystem::path& directory_;
  SegmentSet& segments_;
  ChunkIndex& index_;
  RecoveryReport report_;
  std::map<std::uint32_t, SegmentRow> rows_;
  std::map<std::uint32_t, std::shared_ptr<DiskFile>> open_;
  std::vector<ChunkPlace> losers_;
};

}  // namespace

Result<RecoveryReport> recover(Disk& disk, const std::filesystem::path& segments_directory,
                               SegmentSet& segments, ChunkIndex& index) {
  return Recovery(disk, segments_directory, segments, index).run();
}

}  // namespace dfs::storage
