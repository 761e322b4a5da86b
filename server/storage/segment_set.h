// All segments of one store: gives out places in the ones being filled, and
// keeps the account of what lives where.
//
// Small chunks and large ones go to different segments ("lanes"), so that the
// fdatasync of a small one does not wait for somebody's megabytes.
//
// Threads: any. Accounts (rows) change under the caller's checkpoint lock only.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "common/base/result.h"
#include "server/storage/chunk_index.h"
#include "server/storage/segment.h"
#include "server/storage/segment_files.h"

namespace dfs::storage {

enum class Lane : std::uint8_t { small, bulk };
inline constexpr std::size_t kLanes = 2;

struct SegmentSetOptions {
  std::filesystem::path directory;
  std::uint64_t segment_bytes = 1 * GiB;
  std::size_t open_files_max = 256;
};

class SegmentSet {
 public:
  // `disk` must outlive this.
  SegmentSet(Disk& disk, const SegmentSetOptions& options);

  // --- taking in what is on disk, before anything else ---------------------------

  void adopt_sealed(const SegmentRow& row);
  // Appending goes on at `end` if there is room.
  void adopt_open(const SegmentRow& row, std::shared_ptr<DiskFile> file, std::uint64_t end);

  // --- writing --------------------------------------------------------------------

  struct Place {
    std::shared_ptr<Segment> segment;
    std::uint64_t offset = 0;
  };
  Result<Place> reserve(Lane lane, std::uint64_t bytes);
  // Makes the next segment ahead of its need, so that reserve() seldom waits.
  Result<void> prepare_spare();

  // --- looking ----------------------------------------------------------------------

  SegmentFiles& files() { return files_; }
  // Null if the segment is sealed: then all of it is stable.
  std::shared_ptr<Segment> open_segment(std::uint32_t number) const;

  struct OpenState {
    std::shared_ptr<Segment> segment;
    std::uint64_t settled_end = 0;
    bool may_seal = false;  // gets nothing more, and nothing is unfinished
  };
  std::vector<OpenState> open_states() const;

  // --- accounts -----------------------------------------------------------------------

  std::map<std::uint32_t, SegmentRow> rows() const;
  SegmentRow row(std::uint32_t number) const;
  void set_rows(std::span<const SegmentRow> rows);  // sealed ones are closed for writing
  struct Totals {
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::size_t segments = 0;
  };
  Totals totals() const;
  // Sealed and without a living record.
  std::vector<std::uint32_t> empty_segments() const;
  // Deletes the file.
  Result<void> remove(std::uint32_t number);

 private:
  Result<std::shared_ptr<Segment>> make_segment_locked();

  Disk& disk_;
  const SegmentSetOptions options_;
  SegmentFiles files_;
  mutable std::mutex mutex_;
  std::map<std::uint32_t, SegmentRow> rows_;
  std::map<std::uint32_t, std::shared_ptr<Segment>> open_;  // not sealed: lanes, spare, full ones
  std::array<std::shared_ptr<Segment>, kLanes> lanes_;
  std::shared_ptr<Segment> spare_;
  std::uint32_t next_number_ = 1;
};

}  // namespace dfs::storage
