#include "server/meta/backup/backup_desk.h"

#include <utility>

#include <fmt/format.h>

#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/random.h"
#include "common/base/row_file.h"
#include "server/meta/backup/backup_facts.h"
#include "server/meta/store/tables.h"

namespace dfs {
namespace {

// Of the moment that `cursor` sees.
Result<ClusterRecord> cluster_seen_by(KvCursor& cursor) {
  std::string key;
  raw_key<tables::Cluster>(key, ClusterKey{});
  cursor.seek(key);
  if (!cursor.valid() || cursor.key() != key) {
    TRY(cursor.status());
    return fail(Errc::corrupt, "the metadata store does not say of which cluster it is");
  }
  ClusterRecord record;
  TRY(decode_row<tables::Cluster>(cursor.key(), cursor.value(), record));
  return record;
}

}  // namespace

Result<BackupPage> BackupDesk::begin() {
  release_idle();
  if (open_.size() >= limits_.backups_max)
    return fail(Errc::overloaded,
                fmt::format("{} backups are being made already; try again when one is done",
                            open_.size()));
  Open open{.cursor = store_.sweep(), .page = 0, .last_asked = clock_.now()};
  const WallNanos now = clock_.wall();
  const ClusterRecord cluster = TRY(cluster_seen_by(*open.cursor));
  open.cursor->seek("");
  const std::uint64_t id = ++last_id_;
  open_.emplace(id, std::move(open));
  log_info("backup", "backup {} of the metadata begins", id);
  BackupPage page = TRY(read_page(id));
  page.facts = backup_facts(cluster, now);
  page.bytes_about = store_.disk_bytes();
  return page;
}

Result<BackupPage> BackupDesk::next(std::uint64_t backup, std::uint64_t page) {
  release_idle();
  const auto found = open_.find(backup);
  if (found == open_.end())
    return fail(Errc::not_found, "this backup is not being made any more: nobody has asked about "
                                 "it for a while, or the server was restarted; begin a new one");
  if (found->second.page != page)
    return fail(Errc::bad_message, fmt::format("page {} of the backup comes next, page {} was "
                                               "asked for; begin a new one",
                                               found->second.page, page));
  return read_page(backup);
}

Result<BackupPage> BackupDesk::read_page(std::uint64_t backup) {
  Open& open = open_.at(backup);
  BackupPage page;
  page.backup = backup;
  page.page = open.page++;
  KvCursor& cursor = *open.cursor;
  for (; cursor.valid() && page.rows.size() < limits_.page_bytes; cursor.next())
    append_row(page.rows, cursor.key(), cursor.value());
  page.last = !cursor.valid();
  const Result<void> status = page.last ? cursor.status() : Result<void>{};
  open.last_asked = clock_.now();
  if (page.last) open_.erase(backup);
  if (!status) {
    log_error("backup", "backup {} failed: {}", backup, status.error().to_string());
    return fail(status.error());
  }
  if (page.last) log_info("backup", "backup {} is complete", backup);
  return page;
}

void BackupDesk::release_idle() {
  const SteadyTime now = clock_.now();
  std::erase_if(open_, [&](const auto& entry) {
    const bool idle = now - entry.second.last_asked >= limits_.idle_max;
    if (idle) log_warn("backup", "backup {} is given up: nobody asks for its pages", entry.first);
    return idle;
  });
}

}  // namespace dfs
