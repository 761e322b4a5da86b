// What dfs-mount is told: by its command line, by the options of fstab, by a
// file.
//
//   dfs-mount HOST:PORT MOUNTPOINT [-o key=value,...] [-f] [--config FILE] ...
//   mount.dfs HOST:PORT MOUNTPOINT [-sfnv] [-o ...]     as mount(8) calls it
//
// The file is read first, then -o, so that the latter wins.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/log.h"
#include "common/base/result.h"
#include "common/client/client_config.h"
#include "fuse/session_config.h"

namespace dfs::fuse {

struct MountOptions {
  std::string server;                 // HOST:PORT of the metadata server
  std::filesystem::path mount_point;  // as given
  std::string cluster;                // expected cluster id; empty: any

  unsigned long flags;  // MS_* for mount(2)
  bool allow_other;     // the default: if root mounts
  SessionConfig session;
  ClientConfig client;
  std::filesystem::path journal;  // where writes survive this machine's power loss; empty: nowhere
  bool local_reads = true;  // see common/rpc/local_reader.h

  // By two processes, one of which can be killed and replaced.
  bool supervised = true;

  // In the foreground; otherwise dfs-mount returns when the mount answers.
  bool foreground = false;
  int ready_fd = -1;
  std::string metrics_address;
  LogConfig log;

  // mount(8)'s -f: everything but the mount itself.
  bool pretend = false;
  // mount(8)'s -s: options nobody knows are passed over.
  bool sloppy = false;

  MountOptions();
};

// Takes one "key" or "key=value" of -o.
//   invalid  unknown, or a value out of range; the sentence names the option
Result<void> apply_option(MountOptions& options, std::string_view option);
// A whole -o text.
Result<void> apply_option_list(MountOptions& options, std::string_view list);
// A TOML file; DFS_MOUNT_* variables win over it.
Result<void> apply_config_file(MountOptions& options, const std::filesystem::path& file);

// What the engine is told: `client`, and what follows from the flags.
ClientConfig client_config(const MountOptions& options);

// Ranges, and what does not go together.
Result<void> validate(const MountOptions& options);

// For --help.
std::string describe_options();

}  // namespace dfs::fuse
