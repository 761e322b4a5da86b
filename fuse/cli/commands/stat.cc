// dfs stat: everything about one name.
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/base/config_file.h"
#include "common/rpc/consistency.h"
#include "fuse/cli/command.h"
#include "fuse/cli/connection.h"
#include "fuse/cli/output.h"
#include "fuse/cli/remote_path.h"

namespace dfs::cli {

namespace {

struct StatOptions {
  ConnectOptions connect;
  std::string path;
  bool follow = false;
  bool json = false;
};

Result<void> stat(const StatOptions& options) {
  const auto connection = TRY(Connection::open(options.connect));
  const CallContext context = connection->context();
  FileSystem& files = connection->files();
  const LastLink last_link = options.follow ? LastLink::follow : LastLink::keep;
  const Attributes facts = TRY(resolve(files, context, options.path, last_link));
  std::string link;
  if (facts.type == FileType::symlink) link = TRY(files.read_symlink(facts.inode, context));
  const auto xattrs = TRY(files.list_xattr(facts.inode, context));

  if (options.json) {
    nlohmann::json json = to_json(facts);
    json["path"] = options.path;
    json["xattrs"] = xattrs;
    if (facts.type == FileType::symlink) json["link"] = link;
    print_json(json);
    return {};
  }
  const auto line = [](std::string_view title, const std::string& value) {
    print_line(fmt::format("{:<12}{}", title, value));
  };
  line("path", escaped(options.path));
  line("type", std::string(name_of(facts.type)));
  if (!link.empty()) line("link to", escaped(link));
  line("size", fmt::format("{} ({})", facts.size, format_size(facts.size)));
  line("allocated", fmt::format("{} ({})", facts.allocated, format_size(facts.allocated)));
  line("mode", fmt::format("{:04o} ({})", facts.mode, format_mode(facts.type, facts.mode)));
  line("owner", fmt::format("{}:{}", facts.uid, facts.gid));
  line("links", std::to_string(facts.nlink));
  line("inode", std::to_string(facts.inode.value()));
  if (facts.chunk_size > 0) line("chunk size", format_size(facts.chunk_size));
  if (facts.consistency != Consistency::strict)
    line("consistency", std::string(name_of(facts.consistency)));
  line("accessed", format_time(facts.atime));
  line("modified", format_time(facts.mtime));
  line("changed", format_time(facts.ctime));
  line("made", format_time(facts.btime));
  for (const std::string& name : xattrs) line("xattr", escaped(name));
  return {};
}

}  // namespace

void add_stat_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("stat", "Show everything about one name");
  const auto options = std::make_shared<StatOptions>();
  command->add_option("PATH", options->path, "What to look at")->required();
  command->add_flag("-L,--follow", options->follow, "What a link points to");
  command->add_flag("--json", options->json, "Print JSON");
  add_connect_options(*command, options->connect);
  add_examples(*command, "  dfs stat /photos/cat.jpg\n  dfs stat --json / | jq .inode");
  command->callback([options, &choice] { choice.set([options] { return stat(*options); }); });
}

}  // namespace dfs::cli
