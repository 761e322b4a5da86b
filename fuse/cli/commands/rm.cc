// dfs rm: names away.
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "fuse/cli/command.h"
#include "fuse/cli/connection.h"
#include "fuse/cli/remote_path.h"

namespace dfs::cli {

namespace {

struct RmOptions {
  ConnectOptions connect;
  std::vector<std::string> paths;
  bool recursive = false;
  bool force = false;
};

class Remover {
 public:
  Remover(const RmOptions& options, FileSystem& files, const CallContext& context)
      : options_(options), files_(files), context_(context) {}

  Result<void> remove(const std::string& path) {
    const Place place = TRY(resolve_place(files_, context_, path));
    const auto there = files_.lookup(place.parent.inode, place.name, context_);
    if (!there && there.error().code == Errc::not_found && options_.force) return {};
    if (!there) return fail(about(path, there.error()));
    if (there->type == FileType::directory && !options_.recursive)
      return fail(Errc::is_directory, path + ": use -r for directories");
    return remove_entry(path, place.parent.inode, place.name, *there);
  }

 private:
  Result<void> remove_entry(const std::string& path, InodeId parent, const std::string& name,
                            const Attributes& attributes) {
    if (attributes.type != FileType::directory) {
      const auto done = files_.unlink(parent, name, context_);
      if (!done && done.error().code != Errc::not_found) return fail(about(path, done.error()));
      return {};
    }
    TRY(for_each_entry(files_, context_, attributes.inode, [&](const Entry& entry) {
      return remove_entry(join_path(path, entry.name), attributes.inode, entry.name, entry.attributes);
    }));
    const auto done = files_.remove_directory(parent, name, context_);
    if (!done && done.error().code != Errc::not_found) return fail(about(path, done.error()));
    return {};
  }

  const RmOptions& options_;
  FileSystem& files_;
  const CallContext& context_;
};

Result<void> rm(const RmOptions& options) {
  const auto connection = TRY(Connection::open(options.connect));
  const CallContext context = connection->context();
  Remover remover(options, connection->files(), context);
  for (const std::string& path : options.paths) TRY(remover.remove(path));
  return {};
}

}  // namespace

void add_rm_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("rm", "Remove files and trees");
  const auto options = std::make_shared<RmOptions>();
  command->add_option("PATHS", options->paths, "What to remove")->required();
  command->add_flag("-r,--recursive", options->recursive, "Directories with all that is in them");
  command->add_flag("-f,--force", options->force, "Fine if it is not there");
  add_connect_options(*command, options->connect);
  add_examples(*command, "  dfs rm /reports/old.pdf\n  dfs rm -r /photos/2019");
  command->callback([options, &choice] { choice.set([options] { return rm(*options); }); });
}

}  // namespace dfs::cli
