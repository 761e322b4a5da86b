// dfs size: how much a file or a tree holds.
#include <memory>
#include <set>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/base/config_file.h"
#include "fuse/cli/command.h"
#include "fuse/cli/connection.h"
#include "fuse/cli/output.h"
#include "fuse/cli/remote_path.h"

namespace dfs::cli {

namespace {

struct SizeOptions {
  ConnectOptions connect;
  std::string path = "/";
  bool json = false;
};

struct Totals {
  std::uint64_t bytes = 0;
  std::uint64_t allocated = 0;
  std::uint64_t files = 0;
  std::uint64_t directories = 0;
  std::uint64_t others = 0;
  std::set<InodeId> linked;  // inodes with several names, counted once
};

Result<void> add(FileSystem& files, const CallContext& context, const Attributes& top, Totals& totals) {
  if (top.type == FileType::directory) {
    ++totals.directories;
    return for_each_entry(files, context, top.inode, [&](const Entry& entry) {
      return add(files, context, entry.attributes, totals);
    });
  }
  if (top.nlink > 1 && !totals.linked.insert(top.inode).second) return {};
  ++(top.type == FileType::regular ? totals.files : totals.others);
  totals.bytes += top.size;
  totals.allocated += top.allocated;
  return {};
}

Result<void> size(const SizeOptions& options) {
  const auto connection = TRY(Connection::open(options.connect));
  const CallContext context = connection->context();
  const Attributes top = TRY(resolve(connection->files(), context, options.path, LastLink::follow));
  Totals totals;
  TRY(add(connection->files(), context, top, totals));
  if (options.json) {
    print_json({{"path", options.path},
                {"bytes", totals.bytes},
                {"allocated", totals.allocated},
                {"files", totals.files},
                {"directories", totals.directories},
                {"others", totals.others}});
    return {};
  }
  print_line(fmt::format("{} bytes ({}) in {} files, {} directories, {} others; {} allocated",
                         totals.bytes, format_size(totals.bytes), totals.files, totals.directories,
                         totals.others, format_size(totals.allocated)));
  return {};
}

}  // namespace

void add_size_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("size", "Add up a file or a tree");
  const auto options = std::make_shared<SizeOptions>();
  command->add_option("PATH", options->path, "What to add up")->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  add_connect_options(*command, options->connect);
  add_examples(*command, "  dfs size /photos");
  command->callback([options, &choice] { choice.set([options] { return size(*options); }); });
}

}  // namespace dfs::cli
