// dfs ls: the names in a directory.
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

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

struct LsOptions {
  ConnectOptions connect;
  std::string path = "/";
  bool details = false;
  bool recursive = false;
  bool human = false;
  bool json = false;
};

struct Line {
  std::string path;  // as it is printed
  Attributes attributes;
  std::string link;  // symlinks: the target
};

class Listing {
 public:
  Listing(const LsOptions& options, FileSystem& files, const CallContext& context)
      : options_(options), files_(files), context_(context) {}

  Result<void> add(const std::string& name, const Attributes& attributes) {
    Line line{name, attributes, {}};
    if (attributes.type == FileType::symlink && (options_.details || options_.json))
      line.link = TRY(files_.read_symlink(attributes.inode, context_));
    lines_.push_back(std::move(line));
    return {};
  }

  Result<void> add_directory(const std::string& prefix, InodeId directory) {
    std::vector<Entry> entries;
    TRY(for_each_entry(files_, context_, directory, [&](const Entry& entry) -> Result<void> {
      entries.push_back(entry);
      return {};
    }));
    std::ranges::sort(entries, {}, &Entry::name);
    for (const Entry& entry : entries) {
      const std::string shown = prefix.empty() ? entry.name : join_path(prefix, entry.name);
      TRY(add(shown, entry.attributes));
      if (options_.recursive && entry.attributes.type == FileType::directory)
        TRY(add_directory(shown, entry.attributes.inode));
    }
    return {};
  }

  void print_all() const {
    if (options_.json) return print_as_json();
    if (options_.details) return print_details();
    const bool escape = is_terminal(STDOUT_FILENO);
    for (const Line& line : lines_) print_line(escape ? escaped(line.path) : line.path);
  }

 private:
  void print_as_json() const {
    nlohmann::json list = nlohmann::json::array();
    for (const Line& line : lines_) {
      nlohmann::json entry = to_json(line.attributes);
      entry["name"] = line.path;
      if (line.attributes.type == FileType::symlink) entry["link"] = line.link;
      list.push_back(std::move(entry));
    }
    print_json(list);
  }

  void print_details() const {
    using Align = Table::Align;
    Table table({{"MODE"}, {"LINKS", Align::right}, {"UID", Align::right}, {"GID", Align::right},
                 {"SIZE", Align::right}, {"MODIFIED"}, {"NAME"}});
    for (const Line& line : lines_) {
      const Attributes& facts = line.attributes;
      std::string name = escaped(line.path);
      if (!line.link.empty()) name += " -> " + escaped(line.link);
      table.add({format_mode(facts.type, facts.mode), std::to_string(facts.nlink),
                 std::to_string(facts.uid), std::to_string(facts.gid),
                 options_.human ? format_size(facts.size) : std::to_string(facts.size),
                 format_time(facts.mtime), std::move(name)});
    }
    print(table.text());
  }

  const LsOptions& options_;
  FileSystem& files_;
  const CallContext& context_;
  std::vector<Line> lines_;
};

Result<void> ls(const LsOptions& options) {
  const auto connection = TRY(Connection::open(options.connect));
  const CallContext context = connection->context();
  const Attributes top = TRY(resolve(connection->files(), context, options.path, LastLink::follow));
  Listing listing(options, connection->files(), context);
  if (top.type == FileType::directory) {
    TRY(listing.add_directory("", top.inode));
  } else {
    TRY(listing.add(options.path, top));
  }
  listing.print_all();
  return {};
}

}  // namespace

void add_ls_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("ls", "List a directory");
  const auto options = std::make_shared<LsOptions>();
  command->add_option("PATH", options->path, "What to list")->capture_default_str();
  command->add_flag("-l,--long", options->details, "Modes, owners, sizes and times too");
  command->add_flag("-R,--recursive", options->recursive, "Directories below as well");
  command->add_flag("-H,--human", options->human, "Sizes such as 1.5 MiB");
  command->add_flag("--json", options->json, "Print JSON");
  add_connect_options(*command, options->connect);
  add_examples(*command,
               "  dfs ls /\n"
               "  dfs ls -lH /photos\n"
               "  dfs ls --json /photos | jq '.[].name'");
  command->callback([options, &choice] { choice.set([options] { return ls(*options); }); });
}

}  // namespace dfs::cli
