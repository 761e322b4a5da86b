// Backups that are being made: each reads the metadata as it was when it
// began, page by page, while the server goes on changing it.
//
// A cursor of the store sees one moment, and the store applies whole batches,
// so a backup has all of each batch or nothing. What a cursor keeps alive (a
// few memtables, files that compaction has replaced) is freed with it: after
// the last page, or when nobody has asked for a while.
//
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/kv/kv_store.h"
#include "common/rpc/backup_client.h"

namespace dfs {

struct BackupLimits {
  std::size_t backups_max = 2;              // at once; one more is `overloaded`
  std::size_t page_bytes = 512 << 10;       // a page ends with the row that reaches this
  std::chrono::nanoseconds idle_max = std::chrono::minutes{1};
};

class BackupDesk {
 public:
  // `store` and `clock` must outlive the desk, which must outlive no store.
  BackupDesk(const KvStore& store, const Clock& clock, const BackupLimits& limits)
      : store_(store), clock_(clock), limits_(limits) {}

  // The first page of a new backup.
  //   overloaded   as many as the limits allow are being made
  //   corrupt, io  the store
  Result<BackupPage> begin();
  // A page of one that began: each is told once, in order. With the last one
  // the backup is over; after an error too.
  //   not_found    it is over, or was given up
  //   bad_message  another page comes next
  Result<BackupPage> next(std::uint64_t backup, std::uint64_t page);

  // Gives up those that nobody has asked about for idle_max.
  void release_idle();
  std::size_t open() const { return open_.size(); }

 private:
  struct Open {
    std::unique_ptr<KvCursor> cursor;
    std::uint64_t page = 0;  // the next one
    SteadyTime last_asked;
  };
  Result<BackupPage> read_page(std::uint64_t backup);

  const KvStore& store_;
  const Clock& clock_;
  const BackupLimits limits_;
  std::map<std::uint64_t, Open> open_;
  std::uint64_t last_id_ = 0;
};

}  // namespace dfs
