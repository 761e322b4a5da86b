// How a command reaches a file system without a mount.
//
// The metadata server is found, in this order, by --meta, by --dir (a local
// cluster), by the environment variable DFS_META, or as the local cluster of
// /var/lib/dfs-local.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/client/file_system.h"

namespace CLI {
class App;
}

namespace dfs::cli {

struct ConnectOptions {
  std::string meta;                 // host:port
  std::filesystem::path directory;  // of a local cluster
  // Servers that do not answer for this long make the command fail.
  unsigned timeout_s = 30;
};

// --meta, --dir and --timeout. `options` must outlive the parsing.
void add_connect_options(CLI::App& command, ConnectOptions& options);

// Where the metadata server is, by the rules above.
//   invalid  nothing says it, or what says it is no address
Result<std::string> find_meta_address(const ConnectOptions& options);

// A session with the metadata server, connections to the storage servers as
// they are needed, and the engine over both.
// Threads: any.
class Connection {
 public:
  // `unavailable`, with the address, if no metadata server answers there.
  static Result<std::unique_ptr<Connection>> open(const ConnectOptions& options);
  virtual ~Connection() = default;

  virtual MetaClient& meta() = 0;
  virtual StoragePool& storage() = 0;
  virtual FileSystem& files() = 0;
  // The user who runs the command.
  virtual CallContext context() const = 0;
};

}  // namespace dfs::cli
