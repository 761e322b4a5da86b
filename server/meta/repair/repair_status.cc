// What repair tells people.
#include <algorithm>
#include <ctime>

#include <fmt/format.h>

#include "server/meta/repair/repair.h"

namespace dfs {
namespace {

constexpr std::size_t kLostNamedMax = 64;

std::string groups_text(std::size_t count) {
  return count == 1 ? "1 group" : fmt::format("{} groups", count);
}

std::string day_and_time(WallNanos time) {
  const std::time_t seconds = time / 1'000'000'000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text;
}

}  // namespace

RepairStatus Repair::status() const {
  RepairStatus status;
  status.missing_bytes = row_.totals().missing_bytes;
  status.copied_chunks = copied_chunks_;
  status.copied_bytes = copied_bytes_;
  status.bytes_per_second = rate_.per_second(clock_.now());
  if (status.bytes_per_second > 0 && row_.totals().missing > 0)
    status.seconds_left = status.missing_bytes / status.bytes_per_second + 1;
  status.moving = moves_.facts().moving;
  status.balancing = moves_.facts().balancing;
  const auto& lost = queue_.lost().all();
  status.lost_chunks = lost.size();
  for (const ChunkId chunk : lost) {
    if (status.lost.size() == kLostNamedMax) break;
    status.lost.push_back(chunk);
  }
  for (const auto& [server, node] : cluster_.nodes().all()) {
    const auto care = cares_.find(server);
    status.servers.push_back({server, server_state(server, node),
                              care == cares_.end() ? 0 : care->second.lists.groups_left(),
                              cluster_.problems_of(server)});
  }
  status.notes = notes();
  for (std::string& note : conversion_.notes(row_.totals())) status.notes.push_back(std::move(note));
  status.conversion = conversion_.status(row_.totals());
  return status;
}

std::string Repair::server_state(ServerId server, const Node& node) const {
  if (node.draining) {
    const bool has_any = std::any_of(
        cluster_.groups().begin(), cluster_.groups().end(),
        [&](const auto& entry) { return cluster_.member(entry.first, server) != nullptr; });
    return has_any ? "draining" : "drained";
  }
  if (node.info.alive) return "alive";
  return cluster_.nodes().is_out(server) ? "out" : "down";
}

// Sentences about what does not go on by itself, or takes its time.
std::vector<std::string> Repair::notes() const {
  std::vector<std::string> notes;
  add_notes_on_restoring(notes);
  const MoveFacts& facts = moves_.facts();
  if (const std::size_t replacing = facts.moving - facts.balancing; replacing > 0)
    notes.push_back(fmt::format("{} are getting a new member in place of one that is out, drained or "
                                "has no disk for it",
                                groups_text(replacing)));
  for (const auto& [server, count] : facts.no_place)
    notes.push_back(fmt::format(
        "no storage server can take the place of {} in {}: each one that is alive and not drained is "
        "a member already or has too little space",
        server.value(), groups_text(count)));
  for (const auto& [server, count] : facts.no_source)
    notes.push_back(fmt::format(
        "storage server {} is not replaced in {}: no other member is alive that has the chunks",
        server.value(), groups_text(count)));
  for (const auto& [server, care] : cares_)
    if (care.lists.urgent())
      notes.push_back(fmt::format("the list of storage server {} is being compared, {} to go",
                                  server.value(), groups_text(care.lists.groups_left())));
  if (const std::size_t deferred = queue_.deferred(); deferred > 0)
    notes.push_back(
        fmt::format("{} copies could not be made lately and are tried again", deferred));
  if (!queue_.lost().all().empty())
    notes.push_back(fmt::format("{} chunks are lost: no member of their groups has a good copy",
                                queue_.lost().all().size()));
  return notes;
}

void Repair::add_notes_on_restoring(std::vector<std::string>& notes) const {
  if (!cluster_.keeps_unknown()) return;
  const ClusterRecord& record = row_.record();
  const std::string state = record.restored_state != 0
                                ? "a backup of " + day_and_time(record.restored_state)
                                : std::string("what the storage servers have");
  notes.push_back(fmt::format(
      "the metadata was made anew on {} out of {}; chunks that no file names are kept until {}",
      day_and_time(record.restored), state, day_and_time(record.keep_unknown_until)));
  for (const auto& [server, care] : cares_)
    if (care.unknown > 0)
      notes.push_back(fmt::format("storage server {} has {} chunks that no file names",
                                  server.value(), care.unknown));
}

void Repair::show_counts() const {
  missing_.set(static_cast<double>(row_.totals().missing));
  missing_bytes_.set(static_cast<double>(row_.totals().missing_bytes));
  lost_.set(static_cast<double>(queue_.lost().all().size()));
  moving_.set(static_cast<double>(moves_.facts().moving));
  converting_.set(static_cast<double>(row_.totals().conversions));
  converting_bytes_.set(static_cast<double>(row_.totals().conversion_bytes));
}

}  // namespace dfs
