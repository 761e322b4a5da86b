// A segment that records are being added to: hands out places, knows which
// of them are finished, and brings what was written to stable media.
//
// Life of a record:   reserve -> write to file() -> written -> (index) -> release
//
// Invariant: every record whose place lies below settled_end() has been
// released, so whoever releases after adding to the index may take everything
// below as indexed.
//
// Threads: any. sync_through() waits for the disk; one fdatasync serves all
// who wait.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "common/base/result.h"
#include "common/base/zero_ahead.h"
#include "server/storage/disk.h"
#include "server/storage/segment_format.h"

namespace dfs::storage {

// Counts the finished writes to one segment, from 1. Syncing through a ticket
// makes every write with this or a smaller ticket stable.
using SyncTicket = std::uint64_t;

class Segment {
 public:
  // `end` is where the next record goes; none goes past `limit`, except into
  // an empty segment.
  Segment(const SegmentHeader& header, std::shared_ptr<DiskFile> file, std::uint64_t end,
          std::uint64_t limit);
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  std::uint32_t number() const { return header_.number; }
  std::uint64_t salt() const { return header_.salt; }
  DiskFile& file() const { return *file_; }
  std::shared_ptr<DiskFile> share_file() const { return file_; }

  // A place for a record of `bytes`; nothing if the segment has no room. Writes
  // zeros behind it first where that makes the coming syncs cheaper.
  std::optional<std::uint64_t> reserve(std::uint64_t bytes);
  // A record is in the file.
  SyncTicket written();
  // The record at `place` is indexed, or was given up and punched.
  void release(std::uint64_t place);

  std::uint64_t settled_end() const;
  std::uint64_t end() const;
  bool idle() const;  // nothing reserved is unreleased

  // Begins writing what has come together, if that is worth it: the next
  // fdatasync then finds little left to do. May wait for the disk's queue.
  void start_writeback();

  // After an error the segment stays failed: what the kernel still holds is
  // unknown then, and a second fdatasync would report success wrongly.
  Result<void> sync_through(SyncTicket ticket);
  bool is_synced(SyncTicket ticket) const;
  SyncTicket last_ticket() const;

  // Marks the segment as full and stable, for good.
  //   precondition: idle() and everything synced
  Result<void> seal();

 private:
  void write_ahead_locked(std::uint64_t bytes);

  const SegmentHeader header_;
  const std::shared_ptr<DiskFile> file_;
  const std::uint64_t limit_;

  mutable std::mutex mutex_;
  std::condition_variable sync_done_;
  std::uint64_t end_;
  std::set<std::uint64_t> unreleased_;
  std::uint64_t hinted_end_;  // writeback was started below this
  ZeroAhead ahead_;
  SyncTicket written_ = 0;
  SyncTicket synced_ = 0;
  bool syncing_ = false;
  std::optional<Error> failed_;
};

}  // namespace dfs::storage
