// What the head of a backup says (a row file, common/base/row_file.h), and of
// an inventory's what both have.
#pragma once

#include <cstdint>

#include "common/base/clock.h"
#include "common/base/row_file.h"
#include "server/meta/store/records.h"

namespace dfs {

struct BackupHead {
  std::string cluster;
  std::uint32_t format = 0;     // of the tables (cluster_format.h)
  std::uint64_t starts = 0;     // of the server, so far
  std::uint64_t generation = 0; // of inodes, so far
  WallNanos time = 0;           // of which moment it is
};

RowFileFacts backup_facts(const ClusterRecord& cluster, WallNanos time);

//   invalid        it is a row file, but no backup of metadata
//   wrong_version  the tables have a format that this program does not read
Result<BackupHead> read_backup_head(const RowFileReader& file, const std::string& name);

}  // namespace dfs
