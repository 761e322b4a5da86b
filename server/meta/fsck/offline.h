// Checks the data directory of a metadata server that does not run.
#pragma once

#include <filesystem>

#include "common/base/clock.h"
#include "server/meta/fsck/rounds.h"

namespace dfs::fsck {

enum class Mode { look, repair };

// `directory` is locked meanwhile, so that no server can start on it. What is
// repaired is on stable media when this returns. Without repairing nothing is
// changed but the store's own files: its log is read back, as at every start.
//   not_found  there is no such directory, or nothing has been stored in it
//   busy       a server uses it
//   invalid    it holds something else
//   others     the store's, the listener's
Result<Summary> check_directory(const std::filesystem::path& directory, Mode mode,
                                const Clock& clock, Listener& listener);

}  // namespace dfs::fsck
