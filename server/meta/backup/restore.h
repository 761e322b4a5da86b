// Makes the data directory of a metadata server out of a backup.
//
// What is restored is older than what storage servers and mounts know. Hence:
//
//   numbers     jump far ahead (leap.h)
//   sessions    and their stored answers are left out: every mount that comes
//               back gets a new session, and what it had locked or leased is gone
//   unknown     chunks that nothing names may be the only copy of what came
//               after the backup: none is deleted for `keep_unknown`
//   servers     that had joined since are let in under the ids that they have
//   lost        chunks that the backup names and that were deleted since are
//               found missing when lists are compared, and named as lost
//
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/base/row_file.h"
#include "common/kv/kv_store.h"
#include "server/meta/backup/backup_facts.h"
#include "server/meta/backup/leap.h"

namespace dfs {

struct RestoreOptions {
  std::chrono::hours keep_unknown{24 * 7};
};

// One row of a backup as the restored store has it: `value` may change. False:
// it is left out.
//   corrupt  the row does not hold
class RowRenewal {
 public:
  RowRenewal(const Leap& leap, const BackupHead& head, WallNanos now, const RestoreOptions& options)
      : leap_(leap), head_(head), now_(now), options_(options) {}
  Result<bool> renew(std::string_view key, std::string& value) const;

 private:
  template <typename Table>
  Result<void> leap_row(std::string_view key, std::string& value) const;
  Result<void> renew_cluster(std::string_view key, std::string& value) const;

  const Leap leap_;
  const BackupHead head_;
  const WallNanos now_;
  const RestoreOptions options_;
};

// Fills an empty `store` from `file`, of which nothing has been read yet.
//   corrupt, wrong_version, invalid  the backup
Result<void> restore_rows(RowFileReader& file, const std::string& name, KvStore& store,
                          WallNanos now, const RestoreOptions& options);

struct Restored {
  BackupHead head;
  std::uint64_t rows = 0;
  WallNanos keep_until = 0;  // what nothing names
};
// The whole way: the file is checked first, then `directory` is made and filled.
// It is a metadata server's once this has returned, and not before.
//   not_empty  there is something in `directory`; nothing was changed
Result<Restored> restore(const std::filesystem::path& file, const std::filesystem::path& directory,
                         const Clock& clock, const RestoreOptions& options);

}  // namespace dfs
