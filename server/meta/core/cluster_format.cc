#include "server/meta/core/cluster_format.h"

#include <vector>

#include <fmt/format.h>

#include "common/base/config_file.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "server/meta/core/cluster_row.h"
#include "server/meta/ops/operation.h"
#include "server/meta/store/record_cache.h"
#include "server/meta/store/transaction.h"

namespace dfs {
namespace {

constexpr std::size_t kClusterIdBytes = 8;

class NothingHeld final : public HeldInodes {
 public:
  bool is_held(InodeId) const override { return false; }
};
class NoGroups final : public GroupDirectory {
 public:
  bool knows(GroupId) const override { return false; }
  std::vector<ServerId> members_of(GroupId) const override { return {}; }
};

Result<ClusterRecord> make_cluster(KvStore& store, const MetaConfig& config, const Clock& clock) {
  ClusterRecord record;
  record.cluster = random_hex(kClusterIdBytes);
  record.format = kStoreFormat;
  record.next_inode = InodeId{kRootInode.value() + 1};
  record.next_server = ServerId{1};
  record.next_group = GroupId{1};
  record.next_session = SessionId{1};
  record.replicas = config.replicas.value_or(kReplicasDefault);
  record.chunk_size = static_cast<std::uint32_t>(config.chunk_size.value_or(kChunkSizeDefault));
  record.group_table_version = 1;
  record.generation = 1;

  ClusterRow row(record);
  RecordCache cache;
  Transaction txn(store, cache);
  const NothingHeld held;
  const NoGroups groups;
  std::vector<InodeId> unfinished;
  const OperationContext context{.caller = {},
                                 .session = {},
                                 .now = clock.wall(),
                                 .held = held,
                                 .groups = groups,
                                 .defaults = row.default_policy(),
                                 .ids = row,
                                 .totals = row.totals(),
                                 .unfinished = unfinished};
  txn.begin_operation();
  make_root(txn, context);
  record.inodes = row.totals().inodes;
  txn.put<tables::Cluster>(ClusterKey{}, record);
  TRY(store.write(txn.take_batch(), KvDurability::stable));
  txn.committed();
  log_info("core", "made cluster {}: {} copies, chunks of {}", record.cluster, record.replicas,
           format_size(record.chunk_size));
  return record;
}

Result<void> check_policy(const ClusterRecord& record, const MetaConfig& config) {
  if (config.replicas && *config.replicas != record.replicas)
    return fail(Errc::invalid,
                fmt::format("the cluster was made with {} copies of each chunk, {} are asked for; "
                            "leave the setting out to start it as it is",
                            record.replicas, *config.replicas));
  if (config.chunk_size && *config.chunk_size != record.chunk_size)
    return fail(Errc::invalid,
                fmt::format("the cluster was made with chunks of {}, {} is asked for; leave "
                            "the setting out to start it as it is",
                            format_size(record.chunk_size), format_size(*config.chunk_size)));
  return {};
}

}  // namespace

Result<ClusterRecord> open_cluster(KvStore& store, const MetaConfig& config, const Clock& clock) {
  std::string raw;
  raw_key<tables::Cluster>(raw, ClusterKey{});
  const std::optional<std::string> bytes = TRY(store.get(raw));
  if (!bytes) {
    const auto cursor = store.cursor();
    cursor->seek("");
    if (cursor->valid())
      return fail(Errc::corrupt, "the metadata store has rows but does not say of which cluster");
    TRY(cursor->status());
    return make_cluster(store, config, clock);
  }
  ClusterRecord record;
  TRY(decode_row<tables::Cluster>(raw, *bytes, record));
  if (record.format != kStoreFormat)
    return fail(Errc::wrong_version,
                fmt::format("the metadata store has format {}; this program reads format {}",
                            record.format, kStoreFormat));
  TRY(check_policy(record, config));
  return record;
}

}  // namespace dfs
