#include "server/meta/backup/restore.h"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "common/kv/rocksdb_store.h"
#include "server/meta/data_directory.h"
#include "server/meta/store/tables.h"

namespace dfs {
namespace {

constexpr std::size_t kBatchBytes = 4 << 20;

Result<void> check_whole(const std::filesystem::path& path) {
  RowFileReader file = TRY(RowFileReader::open(path));
  (void)TRY(read_backup_head(file, path.string()));
  std::string_view key;
  std::string_view value;
  while (true) {
    const bool more = TRY(file.next(key, value));
    if (!more) return {};
  }
}

}  // namespace

template <typename Table>
Result<void> RowRenewal::leap_row(std::string_view key, std::string& value) const {
  typename Table::Record record;
  TRY(decode_row<Table>(key, value, record));
  leap_.apply(record);
  encode(record, value);
  return {};
}

Result<bool> RowRenewal::renew(std::string_view key, std::string& value) const {
  if (key.empty()) return fail(Errc::corrupt, "the backup has a row without a key");
  switch (key.front()) {
    case tables::Sessions::kPrefix:
    case tables::Replies::kPrefix:
      return false;
    case tables::Inodes::kPrefix:
      TRY(leap_row<tables::Inodes>(key, value));
      return true;
    case tables::Groups::kPrefix:
      TRY(leap_row<tables::Groups>(key, value));
      return true;
    case tables::Cluster::kPrefix:
      TRY(renew_cluster(key, value));
      return true;
    default:
      return true;
  }
}

Result<void> RowRenewal::renew_cluster(std::string_view key, std::string& value) const {
  ClusterRecord record;
  TRY(decode_row<tables::Cluster>(key, value, record));
  if (record.cluster != head_.cluster || record.format != head_.format)
    return fail(Errc::corrupt, "the head of the backup is another cluster's than its rows are");
  leap_.apply(record);
  record.restored = now_;
  record.restored_state = head_.time;
  record.keep_unknown_until = now_ + std::chrono::nanoseconds(options_.keep_unknown).count();
  encode(record, value);
  return {};
}

Result<void> restore_rows(RowFileReader& file, const std::string& name, KvStore& store,
                          WallNanos now, const RestoreOptions& options) {
  const BackupHead head = TRY(read_backup_head(file, name));
  const Leap leap = TRY(Leap::since(head.time, now));
  const RowRenewal renewal(leap, head, now, options);
  KvBatch batch;
  std::string_view key;
  std::string_view bytes;
  std::string value;
  bool has_cluster = false;
  while (true) {
    const bool more = TRY(file.next(key, bytes));
    if (!more) break;
    value.assign(bytes);
    const bool stays = TRY(renewal.renew(key, value));
    if (!stays) continue;
    has_cluster = has_cluster || key.front() == tables::Cluster::kPrefix;
    batch.put(key, value);
    if (batch.byte_size() < kBatchBytes) continue;
    TRY(store.write(batch, KvDurability::none));
    batch.clear();
  }
  if (!has_cluster)
    return fail(Errc::corrupt, fmt::format("{} does not say of which cluster it is", name));
  TRY(store.write(batch, KvDurability::none));
  return store.flush();
}

Result<Restored> restore(const std::filesystem::path& file, const std::filesystem::path& directory,
                         const Clock& clock, const RestoreOptions& options) {
  TRY(check_whole(file));
  NewDataDirectory made = TRY(NewDataDirectory::begin(directory));
  RowFileReader reader = TRY(RowFileReader::open(file));
  const BackupHead head = TRY(read_backup_head(reader, file.string()));
  const WallNanos now = clock.wall();
  std::unique_ptr<KvStore> store = TRY(open_rocksdb(made.store(), {}));
  TRY(restore_rows(reader, file.string(), *store, now, options));
  store.reset();
  TRY(made.finish());
  return Restored{.head = head,
                  .rows = reader.summary().rows,
                  .keep_until = now + std::chrono::nanoseconds(options.keep_unknown).count()};
}

}  // namespace dfs
