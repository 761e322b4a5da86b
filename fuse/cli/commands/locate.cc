// dfs locate: where the bytes of a file lie.
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/base/config_file.h"
#include "common/rpc/meta_client.h"
#include "fuse/cli/command.h"
#include "fuse/cli/connection.h"
#include "fuse/cli/output.h"
#include "fuse/cli/remote_path.h"

namespace dfs::cli {

namespace {

struct LocateOptions {
  ConnectOptions connect;
  std::string path;
  bool json = false;
};

struct Holder {
  GroupMember member;
  const ServerInfo* server = nullptr;  // null: the table does not know it
};

std::vector<Holder> holders_of(ChunkId chunk, const GroupTable& table) {
  std::vector<Holder> holders;
  const auto group = table.groups.find(chunk.group());
  if (group == table.groups.end()) return holders;
  for (const GroupMember& member : group->second.members) {
    const auto server = table.servers.find(member.server);
    holders.push_back({member, server == table.servers.end() ? nullptr : &server->second});
  }
  return holders;
}

std::string describe(const Holder& holder) {
  std::string text = fmt::format("{}", holder.member.server.value());
  if (holder.server != nullptr) text += " " + holder.server->address;
  if (holder.member.state != MemberState::active) text += fmt::format(" {}", name_of(holder.member.state));
  if (holder.server == nullptr || !holder.server->alive) text += " (down)";
  return text;
}

nlohmann::json to_json(const Extent& extent, const GroupTable& table) {
  nlohmann::json servers = nlohmann::json::array();
  for (const Holder& holder : holders_of(extent.chunk, table)) {
    servers.push_back({{"server", holder.member.server.value()},
                       {"address", holder.server != nullptr ? holder.server->address : ""},
                       {"state", name_of(holder.member.state)},
                       {"alive", holder.server != nullptr && holder.server->alive}});
  }
  return {{"file_offset", extent.file_offset}, {"length", extent.length},
          {"chunk", to_string(extent.chunk)},  {"chunk_id", extent.chunk.value()},
          {"chunk_offset", extent.chunk_offset}, {"group", extent.chunk.group().value()},
          {"servers", std::move(servers)}};
}

void print_table(const std::string& path, const Attributes& facts, const std::vector<Extent>& extents,
                 const GroupTable& table) {
  print_line(fmt::format("{}: inode {}, {} bytes ({}), {} {}", escaped(path), facts.inode.value(),
                         facts.size, format_size(facts.size), extents.size(),
                         extents.size() == 1 ? "extent" : "extents"));
  if (extents.empty()) return;
  using Align = Table::Align;
  Table rows({{"OFFSET", Align::right}, {"LENGTH", Align::right}, {"CHUNK"}, {"AT", Align::right}, {"SERVERS"}});
  for (const Extent& extent : extents) {
    std::string servers;
    for (const Holder& holder : holders_of(extent.chunk, table))
      servers += (servers.empty() ? "" : ", ") + describe(holder);
    rows.add({std::to_string(extent.file_offset), std::to_string(extent.length),
              to_string(extent.chunk), std::to_string(extent.chunk_offset),
              servers.empty() ? "unknown group" : servers});
  }
  print(rows.text());
}

Result<void> locate(const LocateOptions& options) {
  const auto connection = TRY(Connection::open(options.connect));
  const CallContext context = connection->context();
  FileSystem& files = connection->files();
  const Attributes facts = TRY(resolve(files, context, options.path, LastLink::follow));
  if (facts.type != FileType::regular)
    return fail(Errc::invalid, fmt::format("{} is a {}: only files have contents", options.path, name_of(facts.type)));
  const auto extents = TRY(files.extents(facts.inode, context));
  const GroupTablePtr table = connection->meta().group_table();

  if (!options.json) {
    print_table(options.path, facts, extents, *table);
    return {};
  }
  nlohmann::json list = nlohmann::json::array();
  for (const Extent& extent : extents) list.push_back(to_json(extent, *table));
  print_json({{"path", options.path},
              {"inode", facts.inode.value()},
              {"size", facts.size},
              {"extents", std::move(list)}});
  return {};
}

}  // namespace

void add_locate_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("locate", "Show which servers hold a file's bytes");
  const auto options = std::make_shared<LocateOptions>();
  command->add_option("PATH", options->path, "A file")->required();
  command->add_flag("--json", options->json, "Print JSON");
  add_connect_options(*command, options->connect);
  add_examples(*command, "  dfs locate /photos/cat.jpg");
  command->callback([options, &choice] { choice.set([options] { return locate(*options); }); });
}

}  // namespace dfs::cli
