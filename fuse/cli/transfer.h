// The bytes of one file, in or out.
//
// Holes stay holes where the local side can tell.
// Threads: any, each with its own call.
#pragma once

#include <filesystem>
#include <string>

#include "common/client/file_system.h"
#include "fuse/cli/progress.h"

namespace dfs::cli {

// What every transfer of one command shares. All of it outlives the transfers.
struct Transfer {
  FileSystem& files;
  const CallContext& context;
  Progress& progress;
  bool preserve = false;  // times and all mode bits too, and as root the owner
};

// Writes everything `source` has (from its position, if it is no regular
// file) to `name` in `parent`, replacing what a file there held. When it
// returns, other mounts see the bytes.
Result<void> put_file(const Transfer& transfer, int source, InodeId parent, const std::string& name);
// The same, opening `source`.
Result<void> put_file(const Transfer& transfer, const std::filesystem::path& source, InodeId parent,
                      const std::string& name);

// Writes the file to a descriptor, one byte after another.
Result<void> get_file(const Transfer& transfer, const Attributes& source, int target);
// The same into a file that appears, or is replaced, only when it is complete.
Result<void> get_file(const Transfer& transfer, const Attributes& source,
                      const std::filesystem::path& target);

// Gives `inode` the owner, mode and times of a local file, or the other way
// round; what the user may not set is an error.
Result<void> preserve_remote(const Transfer& transfer, const std::filesystem::path& source,
                             InodeId inode);
Result<void> preserve_local(const Attributes& source, const std::filesystem::path& target);

}  // namespace dfs::cli
