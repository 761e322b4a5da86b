#include "common/client/shown_listings.h"

namespace dfs {

ShownListings::Shown& ShownListings::begin_anew(Table& table, InodeId directory) const {
  if (table.size() >= directories_max_ && !table.contains(directory)) table.erase(table.begin());
  return table[directory] = {};
}

bool ShownListings::opened(InodeId directory) {
  return table_.with([&](Table& table) {
    const auto known = table.find(directory);
    if (known != table.end()) {
      const Shown& shown = known->second;
      if (shown.since != 0 && !shown.broken && gate_.keeps(directory, shown.since)) return true;
    }
    begin_anew(table, directory);
    return false;
  });
}

void ShownListings::forgotten(InodeId directory) {
  table_.with([&](Table& table) { begin_anew(table, directory); });
}

void ShownListings::told(InodeId directory, std::uint64_t order) {
  table_.with([&](Table& table) {
    const auto known = table.find(directory);
    if (known == table.end()) return;
    Shown& shown = known->second;
    const std::uint64_t since = gate_.since(directory);
    const bool is_under_lease = since != 0 && since <= order && gate_.holds(directory, order);
    if (!is_under_lease || (shown.since != 0 && shown.since != since)) shown.broken = true;
    shown.since = since;
  });
}

}  // namespace dfs
