// dfs status: servers, groups, space, sessions and queues.
#include <algorithm>
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

namespace dfs::cli {

namespace {

using Align = Table::Align;

struct StatusOptions {
  ConnectOptions connect;
  bool json = false;
};

std::string members_text(const Group& group) {
  std::string text;
  for (const GroupMember& member : group.members) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", member.server.value());
    if (member.state != MemberState::active) text += fmt::format(" {}", name_of(member.state));
  }
  return text;
}

std::string labels_text(const ServerInfo& server) {
  std::string text;
  for (const auto& [key, value] : server.labels) text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value);
  return text;
}

std::string state_of(const ServerInfo& server, const RepairStatus& repair) {
  const auto found = std::ranges::find(repair.servers, server.server, &ServerCondition::server);
  if (found != repair.servers.end()) return found->state;
  return server.alive ? "alive" : "down";
}

std::vector<std::string> problems_of(const ServerInfo& server, const RepairStatus& repair) {
  const auto found = std::ranges::find(repair.servers, server.server, &ServerCondition::server);
  if (found == repair.servers.end()) return {};
  return found->problems;
}

void print_servers(const GroupTable& table, const RepairStatus& repair) {
  Table rows({{"SERVER", Align::right}, {"ADDRESS"}, {"STATE"}, {"FREE", Align::right},
              {"OF", Align::right}, {"CHUNKS", Align::right}, {"LABELS"}});
  for (const auto& [id, server] : table.servers) {
    rows.add({std::to_string(id.value()), server.address, state_of(server, repair),
              format_size(server.available), format_size(server.capacity),
              std::to_string(server.chunks), labels_text(server)});
  }
  print(rows.empty() ? "no storage server has registered yet\n" : rows.text());
}

// What is brought to another number of copies, because a policy was set.
void print_conversion(const ConversionStatus& conversion) {
  if (conversion.directories > 0)
    print_line(fmt::format("policy: {} directories are yet to be looked through",
                           conversion.directories));
  if (conversion.files == 0) return;
  std::string line = fmt::format(
      "policy: {} files ({}) are brought to another number of copies, {} a second", conversion.files,
      format_size(conversion.bytes), format_size(conversion.bytes_per_second));
  if (conversion.seconds_left)
    line += fmt::format(", {} {} to go", conversion.directories > 0 ? "at least" : "about",
                        format_duration(static_cast<std::int64_t>(*conversion.seconds_left)));
  print_line(line);
}

// How far the copies are, in lines; nothing if all is well.
void print_repair(std::uint64_t copies, const RepairStatus& repair) {
  if (copies > 0) {
    std::string line = fmt::format("repair: {} copies ({}) are missing, {} a second", copies,
                                   format_size(repair.missing_bytes),
                                   format_size(repair.bytes_per_second));
    if (repair.seconds_left)
      line += fmt::format(", about {} to go",
                          format_duration(static_cast<std::int64_t>(*repair.seconds_left)));
    print_line(line);
  }
  if (copies > 0 || repair.moving > 0)
    print_line(fmt::format("repair: {} copies ({}) made since the metadata server began",
                           repair.copied_chunks, format_size(repair.copied_bytes)));
  if (repair.balancing > 0)
    print_line(fmt::format("balance: {} places in groups move to servers that are less full",
                           repair.balancing));
  print_conversion(repair.conversion);
  for (const std::string& note : repair.notes) print_line("repair: " + note);
  for (const ServerCondition& server : repair.servers)
    for (const std::string& problem : server.problems)
      print_line(fmt::format("storage server {}: {}", server.server.value(), problem));
  for (const ChunkId chunk : repair.lost) print_line("lost: chunk " + to_string(chunk));
}

void print_groups(const GroupTable& table) {
  Table rows({{"GROUP", Align::right}, {"POOL"}, {"EPOCH", Align::right}, {"SERVERS"}});
  for (const auto& [id, group] : table.groups)
    rows.add({std::to_string(id.value()), group.pool, std::to_string(group.epoch.value()), members_text(group)});
  print(rows.empty() ? "no replica group yet\n" : rows.text());
}

// "-", "4 KiB, 300 ms old"
std::string unsent_text(const UnsentBytes& unsent) {
  if (unsent.bytes == 0) return "-";
  const std::string age =
      unsent.oldest_ms < 1000
          ? fmt::format("{} ms", unsent.oldest_ms)
          : format_duration(static_cast<std::int64_t>(unsent.oldest_ms / 1000));
  return fmt::format("{}, {} old", format_size(unsent.bytes), age);
}

void print_sessions(const std::vector<SessionStatus>& sessions) {
  Table rows({{"SESSION", Align::right}, {"PROGRAM"}, {"HOST"}, {"PID", Align::right}, {"PLACE"},
              {"OPEN", Align::right}, {"LEASES", Align::right}, {"UNSENT", Align::right}, {"SINCE"},
              {"STATE"}});
  for (const SessionStatus& session : sessions) {
    rows.add({std::to_string(session.session.value()), session.program, session.host,
              std::to_string(session.process), escaped(session.place),
              std::to_string(session.open_inodes), std::to_string(session.leases),
              unsent_text(session.unsent), format_time(session.since),
              session.connected ? "connected" : "away"});
  }
  print(rows.text());
}

void print_evictions(const std::vector<Eviction>& evictions) {
  if (evictions.empty()) return;
  print("\n");
  Table rows({{"ENDED"}, {"SESSION", Align::right}, {"PROGRAM"}, {"HOST"}, {"PLACE"}, {"WHY"}});
  for (const Eviction& eviction : evictions)
    rows.add({format_time(eviction.when), std::to_string(eviction.session.value()),
              eviction.program, eviction.host, escaped(eviction.place), eviction.why});
  print(rows.text());
}

void print_people(const std::string& address, const ClusterStatusResult& status, const StatFsResult& space) {
  const std::int64_t up_s = (SystemClock::instance().wall() - status.started) / 1'000'000'000;
  print_line(fmt::format("cluster {}, metadata server {} (version {}, up {})", status.cluster,
                         address, status.version, format_duration(up_s)));
  print_line(fmt::format("{} replicas, chunks of {}; {} of {} free", status.replicas,
                         format_size(status.chunk_size), format_size(space.bytes_available),
                         format_size(space.bytes_total)));
  print_line(fmt::format("{} inodes, {} in {} chunks; {} chunks to delete, {} copies to repair",
                         status.inodes, format_size(status.chunk_bytes), status.chunks,
                         status.garbage_chunks, status.repair_queue));
  print_repair(status.repair_queue, status.repair);
  print("\n");
  print_servers(status.group_table, status.repair);
  print("\n");
  print_groups(status.group_table);
  if (status.contended_inodes > 0)
    print_line(fmt::format("{} inodes are written through, because several sessions write in turns",
                           status.contended_inodes));
  print("\n");
  print_sessions(status.sessions);
  print_evictions(status.evictions);
}

nlohmann::json repair_json(const RepairStatus& repair) {
  nlohmann::json lost = nlohmann::json::array();
  for (const ChunkId chunk : repair.lost) lost.push_back(to_string(chunk));
  nlohmann::json json = {{"missing_bytes", repair.missing_bytes},
                         {"copied_chunks", repair.copied_chunks},
                         {"copied_bytes", repair.copied_bytes},
                         {"bytes_per_second", repair.bytes_per_second},
                         {"moving_memberships", repair.moving},
                         {"lost_chunks", repair.lost_chunks},
                         {"lost", std::move(lost)},
                         {"notes", repair.notes}};
  if (repair.seconds_left) json["seconds_left"] = *repair.seconds_left;
  json["balancing_memberships"] = repair.balancing;
  const ConversionStatus& conversion = repair.conversion;
  json["conversion"] = {{"directories", conversion.directories},
                        {"files", conversion.files},
                        {"bytes", conversion.bytes},
                        {"bytes_per_second", conversion.bytes_per_second}};
  if (conversion.seconds_left) json["conversion"]["seconds_left"] = *conversion.seconds_left;
  nlohmann::json comparing = nlohmann::json::object();
  for (const ServerCondition& server : repair.servers)
    if (server.groups_to_compare > 0)
      comparing[std::to_string(server.server.value())] = server.groups_to_compare;
  json["groups_to_compare"] = std::move(comparing);
  return json;
}

nlohmann::json servers_json(const GroupTable& table, const RepairStatus& repair) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [id, server] : table.servers) {
    list.push_back({{"server", id.value()}, {"address", server.address},
                    {"local_socket", server.local_socket}, {"alive", server.alive},
                    {"state", state_of(server, repair)},
                    {"problems", problems_of(server, repair)},
                    {"labels", server.labels}, {"capacity", server.capacity},
                    {"available", server.available}, {"chunks", server.chunks}});
  }
  return list;
}

nlohmann::json groups_json(const GroupTable& table) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [id, group] : table.groups) {
    nlohmann::json members = nlohmann::json::array();
    for (const GroupMember& member : group.members)
      members.push_back({{"server", member.server.value()}, {"state", name_of(member.state)}});
    list.push_back({{"group", id.value()}, {"pool", group.pool}, {"epoch", group.epoch.value()},
                    {"members", std::move(members)}});
  }
  return list;
}

nlohmann::json sessions_json(const std::vector<SessionStatus>& sessions) {
  nlohmann::json list = nlohmann::json::array();
  for (const SessionStatus& session : sessions) {
    list.push_back({{"session", session.session.value()}, {"program", session.program},
                    {"host", session.host}, {"place", session.place}, {"pid", session.process},
                    {"open_inodes", session.open_inodes}, {"leases", session.leases},
                    {"unsent_bytes", session.unsent.bytes},
                    {"oldest_unsent_ms", session.unsent.oldest_ms},
                    {"since_ns", session.since},
                    {"connected", session.connected}});
  }
  return list;
}

nlohmann::json evictions_json(const std::vector<Eviction>& evictions) {
  nlohmann::json list = nlohmann::json::array();
  for (const Eviction& eviction : evictions)
    list.push_back({{"session", eviction.session.value()}, {"program", eviction.program},
                    {"host", eviction.host}, {"place", eviction.place},
                    {"when_ns", eviction.when}, {"why", eviction.why}});
  return list;
}

Result<void> status(const StatusOptions& options) {
  const std::string address = TRY(find_meta_address(options.connect));
  const auto connection = TRY(Connection::open(options.connect));
  const CallContext context = connection->context();
  const auto facts = TRY(call_for<ClusterStatusResult>(connection->meta(), ClusterStatusArgs{},
                                                       context.caller, nullptr));
  const StatFsResult space = TRY(connection->files().stat_fs(context));
  if (!options.json) {
    print_people(address, facts, space);
    return {};
  }
  print_json({{"cluster", facts.cluster},
              {"meta", address},
              {"version", facts.version},
              {"started_ns", facts.started},
              {"replicas", facts.replicas},
              {"chunk_size", facts.chunk_size},
              {"bytes_total", space.bytes_total},
              {"bytes_available", space.bytes_available},
              {"inodes", facts.inodes},
              {"chunks", facts.chunks},
              {"chunk_bytes", facts.chunk_bytes},
              {"garbage_chunks", facts.garbage_chunks},
              {"repair_queue", facts.repair_queue},
              {"repair", repair_json(facts.repair)},
              {"servers", servers_json(facts.group_table, facts.repair)},
              {"groups", groups_json(facts.group_table)},
              {"contended_inodes", facts.contended_inodes},
              {"sessions", sessions_json(facts.sessions)},
              {"evictions", evictions_json(facts.evictions)}});
  return {};
}

}  // namespace

void add_status_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("status", "Show servers, groups, space, sessions and queues");
  const auto options = std::make_shared<StatusOptions>();
  command->add_flag("--json", options->json, "Print JSON");
  add_connect_options(*command, options->connect);
  add_examples(*command, "  dfs status\n  dfs status --meta server:7300 --json");
  command->callback([options, &choice] { choice.set([options] { return status(*options); }); });
}

}  // namespace dfs::cli
