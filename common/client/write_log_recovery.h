// Sends what a former mount has left in its write log to the servers.
//
//   The contents follow what they followed when the bytes were written, or a commit of
//     the former mount that it did not live to hear of: the bytes are written and synced.
//   Somebody has changed the file since: what is on the servers stays. Bytes that differ from it
//     are kept in DIR/kept/inode-N, at their places, and the log says so.
//   The file is gone: so are they, and the log says so.
//
// It may be ended anywhere and begun again.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/client/file_system.h"
#include "common/client/write_log.h"

namespace dfs {

struct RecoveryOptions {
  std::filesystem::path kept;                 // made when it is needed
  std::chrono::milliseconds patience{30'000}; // with servers, for one step of a MiB
  std::function<bool()> is_given_up;          // somebody wants no more of it; may be empty
};

struct Recovery {
  std::uint64_t sent_bytes = 0;
  std::uint64_t sent_files = 0;
  // A sentence each of what needs somebody to look at it.
  std::vector<std::string> findings;
};

// `files` has no leases, and `log`; nobody uses it meanwhile.
//   unavailable  the servers do not answer; what is left waits in the log
//   io, no_space and others of this machine's disk
Result<Recovery> send_former(WriteLog& log, FileSystem& files, const RecoveryOptions& options);

}  // namespace dfs
