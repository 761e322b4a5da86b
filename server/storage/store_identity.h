// Whose directory this is: the file DIR/identity.
//
//   format = 1
//   identity = 5f0c...        random; the same in all directories of a server
//   store = 9a31...           random; this directory's own
//   cluster = ...             empty until the server has been registered
//   server = 3                0 until then
//   stores = 9a31... 77b2...  of all directories of the server, as far as known
//
// One `key = value` a line. Checked at every start.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "server/storage/disk.h"

namespace dfs::storage {

struct StoreIdentity {
  std::string identity;
  std::string store;
  std::string cluster;
  ServerId server;
  std::vector<std::string> stores = {};  // ascending; empty: written by an older version

  bool is_registered() const { return server.value() != 0; }
  friend bool operator==(const StoreIdentity&, const StoreIdentity&) = default;
};

// Whether a server may keep its chunks in `directory`: it has an identity, or it
// is missing or empty. What a first start that was interrupted leaves, and a file
// system's own lost+found, count as nothing. Changes nothing.
//   invalid      it holds something else
//   corrupt, unsupported   as read_identity() has it
Result<void> check_usable(Disk& disk, const std::filesystem::path& directory);
// Nothing if the directory has none yet.
//   corrupt      the file is not readable as an identity; the text names it
//   unsupported  a format of a later version
Result<std::optional<StoreIdentity>> read_identity(Disk& disk,
                                                   const std::filesystem::path& directory);
// Replaces it whole; on stable media when it returns.
Result<void> write_identity(Disk& disk, const std::filesystem::path& directory,
                            const StoreIdentity& identity);

}  // namespace dfs::storage
