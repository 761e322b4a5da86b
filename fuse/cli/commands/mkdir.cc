// dfs mkdir: new directories.
#include <sys/stat.h>

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

struct MkdirOptions {
  ConnectOptions connect;
  std::vector<std::string> paths;
  bool parents = false;
  std::string mode;  // octal; empty: 0777 without the umask
};

Result<std::uint32_t> mode_of(const MkdirOptions& options) {
  constexpr std::uint32_t kAll = 0777;
  if (options.mode.empty()) {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    return kAll & ~mask;
  }
  std::uint32_t mode = 0;
  for (const char digit : options.mode) {
    if (digit < '0' || digit > '7' || mode > 0777)
      return fail(Errc::invalid, fmt::format("--mode {} is no octal number up to 7777", options.mode));
    mode = mode * 8 + static_cast<std::uint32_t>(digit - '0');
  }
  return mode;
}

Result<void> make(FileSystem& files, const CallContext& context, const std::string& path,
                  std::uint32_t mode) {
  const Place place = TRY(resolve_place(files, context, path));
  const auto made =
      files.make_node(place.parent.inode, place.name, FileType::directory, mode, 0, context);
  if (!made) return fail(about(path, made.error()));
  return {};
}

Result<void> make_with_parents(FileSystem& files, const CallContext& context, const std::string& path,
                               std::uint32_t mode) {
  const auto names = TRY(split_path(path));
  std::string whole;
  for (const std::string& name : names) {
    whole = join_path(whole, name);
    const auto there = resolve(files, context, whole, LastLink::follow);
    if (there && there->type != FileType::directory) return fail(Errc::not_directory, whole);
    if (there) continue;
    if (there.error().code != Errc::not_found) return fail(there.error());
    const auto made = make(files, context, whole, mode);
    if (!made && made.error().code != Errc::exists) return made;
  }
  return {};
}

Result<void> mkdir(const MkdirOptions& options) {
  const std::uint32_t mode = TRY(mode_of(options));
  const auto connection = TRY(Connection::open(options.connect));
  const CallContext context = connection->context();
  for (const std::string& path : options.paths) {
    if (options.parents) {
      TRY(make_with_parents(connection->files(), context, path, mode));
    } else {
      TRY(make(connection->files(), context, path, mode));
    }
  }
  return {};
}

}  // namespace

void add_mkdir_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("mkdir", "Make directories");
  const auto options = std::make_shared<MkdirOptions>();
  command->add_option("PATHS", options->paths, "What to make")->required();
  command->add_flag("-p,--parents", options->parents, "Parents too; fine if they exist");
  command->add_option("-m,--mode", options->mode, "Permissions in octal (default: by the umask)");
  add_connect_options(*command, options->connect);
  add_examples(*command, "  dfs mkdir -p /projects/2024/reports");
  command->callback([options, &choice] { choice.set([options] { return mkdir(*options); }); });
}

}  // namespace dfs::cli
