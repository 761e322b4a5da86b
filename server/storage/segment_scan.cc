#include "server/storage/segment_scan.h"

#include <algorithm>
#include <vector>

namespace dfs::storage {
namespace {

constexpr std::size_t kScanWindow = 1 * MiB;

bool all_zeros(BufferView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

class Scanner {
 public:
  Scanner(const DiskFile& file, const ScanRequest& request, const ScanVisitor& visitor)
      : file_(file), depth_(request.depth), visitor_(visitor), place_(request.from) {
    summary_.end = request.from;
    summary_.salt = request.salt;
  }

  Result<ScanSummary> run() {
    const std::uint64_t size = TRY(file_.size());
    while (place_ < size) TRY(step());
    TRY(end_gap());
    return summary_;
  }

 private:
  Result<void> step() {
    block_.resize(kDiskBlock);
    const std::size_t got = TRY(file_.read(place_, block_));
    const BufferView block = BufferView(block_).first(got);
    const auto header = decode_record_header(block);
    if (!header || !belongs_here(*header)) return pass_over(all_zeros(block));
    const bool whole = TRY(is_whole(*header));
    const std::uint64_t bytes = record_bytes(header->meta.length);
    if (!whole) {
      // The header was written for this place, so nothing else lies in its range.
      grow_gap(bytes, false);
      return {};
    }
    TRY(end_gap());
    TRY(visitor_.record(*header));
    place_ += bytes;
    summary_.end = place_;
    return {};
  }

  // Holes are jumped over whole: a segment of deleted chunks is little else.
  Result<void> pass_over(bool zeros) {
    std::uint64_t data = place_;
    if (zeros) data = TRY(file_.next_data(place_));
    if (data < place_ + kDiskBlock) {
      grow_gap(kDiskBlock, zeros);
      return {};
    }
    TRY(end_gap());
    place_ = data / kDiskBlock * kDiskBlock;
    return {};
  }

  bool belongs_here(const RecordHeader& header) {
    if (header.place != place_) return false;
    if (!summary_.salt) summary_.salt = header.salt;
    return header.salt == *summary_.salt;
  }

  Result<bool> is_whole(const RecordHeader& header) {
    std::vector<Checksum> sums(block_count(header.meta.length));
    const std::size_t table_bytes = sums.size() * sizeof(Checksum);
    const std::size_t got = TRY(file_.read(
        place_ + kRecordHeaderBytes, std::as_writable_bytes(std::span(sums))));
    if (got != table_bytes) return false;
    if (checksum_of_table(sums) != header.sums_checksum) return false;
    if (depth_ == ScanDepth::headers) return true;

    window_.resize(kScanWindow);
    for (std::uint32_t at = 0; at < header.meta.length; at += kScanWindow) {
      const MutableBuffer part = MutableBuffer(window_).first(
          std::min<std::size_t>(kScanWindow, header.meta.length - at));
      const std::size_t filled =
          TRY(file_.read(place_ + data_start(header.meta.length) + at, part));
      if (filled != part.size()) return false;
      if (!checksums_hold(BufferView(part), sums.data() + at / kBlockSize, block_count(part.size())))
        return false;
    }
    return true;
  }

  void grow_gap(std::uint64_t bytes, bool zeros) {
    if (gap_length_ == 0) {
      gap_start_ = place_;
      gap_zeros_ = true;
    }
    gap_length_ += bytes;
    gap_zeros_ = gap_zeros_ && zeros;
    place_ += bytes;
  }

  Result<void> end_gap() {
    if (gap_length_ == 0) return {};
    const ScanGap gap{.offset = gap_start_, .length = gap_length_, .zeros = gap_zeros_};
    gap_length_ = 0;
    return visitor_.gap(gap);
  }

  const DiskFile& file_;
  const ScanDepth depth_;
  const ScanVisitor& visitor_;
  std::uint64_t place_;
  ScanSummary summary_;
  std::uint64_t gap_start_ = 0;
  std::uint64_t gap_length_ = 0;
  bool gap_zeros_ = true;
  std::vector<std::byte> block_;
  std::vector<std::byte> window_;
};

}  // namespace

Result<ScanSummary> scan_segment(const DiskFile& file, const ScanRequest& request,
                                 const ScanVisitor& visitor) {
  return Scanner(file, request, visitor).run();
}

Result<std::optional<RecordHeader>> read_record_header(const DiskFile& file, std::uint64_t place) {
  RecordHeaderBytes bytes;
  const std::size_t got = TRY(file.read(place, bytes));
  auto header = decode_record_header(BufferView(bytes).first(got));
  if (header && header->place != place) header.reset();
  return header;
}

}  // namespace dfs::storage
