#include "server/storage/segment_set.h"

#include <algorithm>

#include "common/base/random.h"

namespace dfs::storage {

SegmentSet::SegmentSet(Disk& disk, const SegmentSetOptions& options)
    : disk_(disk), options_(options), files_(disk, options.directory, options.open_files_max) {}

void SegmentSet::adopt_sealed(const SegmentRow& row) {
  const std::lock_guard lock(mutex_);
  rows_[row.number] = row;
  next_number_ = std::max(next_number_, row.number + 1);
}

void SegmentSet::adopt_open(const SegmentRow& row, std::shared_ptr<DiskFile> file,
                            std::uint64_t end) {
  const std::lock_guard lock(mutex_);
  rows_[row.number] = row;
  next_number_ = std::max(next_number_, row.number + 1);
  const SegmentHeader header{.number = row.number, .salt = row.salt};
  auto segment =
      std::make_shared<Segment>(header, std::move(file), end, options_.segment_bytes);
  open_[row.number] = segment;
  for (auto& lane : lanes_) {
    if (lane || end >= options_.segment_bytes) continue;
    lane = std::move(segment);
    return;
  }
  if (end == kSegmentHeaderBytes && !spare_) spare_ = std::move(segment);
}

Result<SegmentSet::Place> SegmentSet::reserve(Lane lane, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  auto& segment = lanes_[static_cast<std::size_t>(lane)];
  if (segment) {
    if (const auto offset = segment->reserve(bytes)) return Place{segment, *offset};
  }
  if (!spare_) spare_ = TRY(make_segment_locked());
  segment = std::move(spare_);
  spare_ = nullptr;
  const auto offset = segment->reserve(bytes);
  invariant(offset.has_value(), "an empty segment takes any record");
  return Place{segment, *offset};
}

Result<void> SegmentSet::prepare_spare() {
  const std::lock_guard lock(mutex_);
  if (spare_) return {};
  const bool needed = std::any_of(lanes_.begin(), lanes_.end(), [&](const auto& lane) {
    return lane && lane->end() > options_.segment_bytes / 2;
  });
  if (needed) spare_ = TRY(make_segment_locked());
  return {};
}

Result<std::shared_ptr<Segment>> SegmentSet::make_segment_locked() {
  const SegmentHeader header{.number = next_number_, .salt = random_number()};
  auto file = TRY(files_.create(header.number));
  ++next_number_;
  const SegmentHeaderBytes bytes = encode(header);
  const BufferView piece(bytes);
  auto written = file->write(0, {&piece, 1});
  if (written) written = file->sync();
  if (!written) {
    // Without its header the file would only be in the way; a start removes
    // it too if it cannot be removed now.
    if (const auto removed = files_.remove(header.number); !removed) return fail(removed.error());
    return fail(written.error());
  }
  auto segment = std::make_shared<Segment>(header, std::move(file), kSegmentHeaderBytes,
                                           options_.segment_bytes);
  rows_[header.number] = SegmentRow{.number = header.number, .salt = header.salt};
  open_[header.number] = segment;
  return segment;
}

std::shared_ptr<Segment> SegmentSet::open_segment(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(number);
  return found == open_.end() ? nullptr : found->second;
}

std::vector<SegmentSet::OpenState> SegmentSet::open_states() const {
  const std::lock_guard lock(mutex_);
  std::vector<OpenState> states;
  for (const auto& [number, segment] : open_) {
    const bool filling =
        segment == spare_ || std::find(lanes_.begin(), lanes_.end(), segment) != lanes_.end();
    states.push_back({.segment = segment,
                      .settled_end = segment->settled_end(),
                      .may_seal = !filling && segment->idle()});
  }
  return states;
}

std::map<std::uint32_t, SegmentRow> SegmentSet::rows() const {
  const std::lock_guard lock(mutex_);
  return rows_;
}

SegmentRow SegmentSet::row(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  const auto found = rows_.find(number);
  invariant(found != rows_.end(), "the index names only segments that exist");
  return found->second;
}

void SegmentSet::set_rows(std::span<const SegmentRow> rows) {
  const std::lock_guard lock(mutex_);
  for (const SegmentRow& row : rows) {
    rows_[row.number] = row;
    if (row.sealed) open_.erase(row.number);
  }
}

SegmentSet::Totals SegmentSet::totals() const {
  const std::lock_guard lock(mutex_);
  Totals totals{.records = 0, .bytes = 0, .segments = rows_.size()};
  for (const auto& [number, row] : rows_) {
    totals.records += row.live_records;
    totals.bytes += row.live_bytes;
  }
  return totals;
}

std::vector<std::uint32_t> SegmentSet::empty_segments() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint32_t> empty;
  for (const auto& [number, row] : rows_) {
    if (row.sealed && row.live_records == 0) empty.push_back(number);
  }
  return empty;
}

Result<void> SegmentSet::remove(std::uint32_t number) {
  {
    const std::lock_guard lock(mutex_);
    rows_.erase(number);
  }
  return files_.remove(number);
}

}  // namespace dfs::storage
