// Asks a metadata server for all of its metadata as it is at one moment
// (proto/dfs/v1/backup.proto).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common/base/result.h"

namespace dfs {

struct BackupPage {
  std::uint64_t backup = 0;
  std::uint64_t page = 0;
  std::string rows;  // take_row() of common/base/row_file.h takes them off
  bool last = false;
  std::map<std::string, std::string, std::less<>> facts;  // page 0: what a backup's head says
  std::uint64_t bytes_about = 0;  // page 0: all pages together, roughly
};

// Threads: one.
class BackupClient {
 public:
  virtual ~BackupClient() = default;
  // The next page of the same backup; not to be called after the last one.
  //   unavailable    no metadata server answers; a backup that had begun is to
  //                  be begun anew
  //   overloaded     others are being made
  //   not_found      the server has given this one up
  //   not_permitted  the caller is not root
  virtual Result<BackupPage> next() = 0;
};

// Begins with the first next().
std::unique_ptr<BackupClient> make_backup_client(
    std::string meta_address, std::uint32_t uid,
    std::chrono::milliseconds timeout = std::chrono::seconds(60));

}  // namespace dfs
