#include "server/meta/core/core_state.h"

#include <utility>

#include "server/meta/core/cluster_format.h"

namespace dfs {
namespace {

// For purging what is known to be held by nobody: no benefit of the doubt.
class NothingHeld final : public HeldInodes {
 public:
  bool is_held(InodeId) const override { return false; }
};
const NothingHeld kNothingHeld;

template <typename Table>
Result<std::uint64_t> count_rows(const KvStore& store) {
  std::uint64_t count = 0;
  const auto cursor = store.cursor();
  const std::string_view prefix(&Table::kPrefix, 1);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next())
    ++count;
  TRY(cursor->status());
  return count;
}

std::uint64_t begin_life(ClusterRow& row) {
  row.begin_life();
  return row.record().starts;
}

}  // namespace

CoreState::CoreState(const MetaConfig& config_of, const Clock& clock_of, KvStore& store,
                     ClusterRecord record)
    : config(config_of),
      clock(clock_of),
      started(clock_of.wall()),
      row(std::move(record)),
      room(store, config.reserved_bytes),
      sessions(clock, orphans,
               {.timeout = config.session_timeout,
                .orphan_grace = config.orphan_grace,
                .restart_grace = config.restart_grace,
                .held_max = config.held_max}),
      locks(config.lock_limits()),
      leases(clock, config.lease_limits(), begin_life(row)),
      cluster(clock, row,
              {.nodes = {.silence_max = config.server_silence_max,
                         .out_after = config.server_out_after},
               .heartbeat_interval = config.heartbeat_interval,
               .servers_max = config.servers_max,
               .late_commit_max = config.late_commit_max}),
      repair(clock, cluster, row,
             {.lists = {.pause = config.compare_pause, .interval = config.compare_interval},
              .balance = config.balance,
              .balance_pause = config.balance_pause}),
      cache({.inode_bytes_max = static_cast<std::size_t>(config.inode_cache_bytes),
             .dirent_bytes_max = static_cast<std::size_t>(config.name_cache_bytes)}),
      txn(store, cache) {}

Result<std::unique_ptr<CoreState>> CoreState::load(const MetaConfig& config, const Clock& clock,
                                                   KvStore& store) {
  ClusterRecord record = TRY(open_cluster(store, config, clock));
  std::unique_ptr<CoreState> state(new CoreState(config, clock, store, std::move(record)));
  TRY(state->read_tables(store));
  TRY(state->store_life(store));
  return state;
}

Result<void> CoreState::read_tables(const KvStore& store) {
  TRY(for_each_row<tables::Servers>(store, [&](ServerId id, ServerRecord&& record) -> Result<void> {
    cluster.load(id, std::move(record));
    return {};
  }));
  TRY(for_each_row<tables::Groups>(store, [&](GroupId id, GroupRecord&& record) -> Result<void> {
    cluster.load(id, std::move(record));
    return {};
  }));
  cluster.loaded();
  TRY(for_each_row<tables::Sessions>(
      store, [&](SessionId id, SessionRecord&& record) -> Result<void> {
        sessions.load(id, std::move(record));
        return {};
      }));
  roll.look(sessions, row.record().next_session);
  SteadyTime due = sessions.all().empty() ? clock.now() : sessions.orphan_due();
  // Of an older state: it may have got a name since.
  if (cluster.keeps_unknown())
    due += std::chrono::nanoseconds(row.record().keep_unknown_until - clock.wall());
  TRY(for_each_row<tables::Orphans>(store, [&](InodeId id, OrphanRecord&&) -> Result<void> {
    orphans.add(id, due);
    return {};
  }));
  row.totals().garbage = TRY(count_rows<tables::Garbage>(store));
  row.totals().walks = TRY(count_rows<tables::Walks>(store));
  row.totals().conversions = row.totals().conversion_bytes = 0;
  TRY(for_each_row<tables::Conversions>(
      store, [&](InodeId, ConversionRecord&& record) -> Result<void> {
        ++row.totals().conversions;
        row.totals().conversion_bytes += record.bytes;
        return {};
      }));
  row.totals().missing = row.totals().missing_bytes = 0;
  TRY(for_each_row<tables::Missing>(
      store, [&](const MissingKey& key, MissingRecord&& record) -> Result<void> {
        repair.load(key);
        ++row.totals().missing;
        row.totals().missing_bytes += record.length;
        return {};
      }));
  return {};
}

Result<void> CoreState::store_life(KvStore& store) {
  row.write_to(txn);
  const Result<void> written = store.write(txn.take_batch(), KvDurability::stable);
  if (written) {
    txn.committed();
    row.keep();
    return {};
  }
  txn.abandon();
  // Nothing can be made then that could be lost; the first batch will say it.
  if (written.error().code == Errc::no_space) return {};
  return written;
}

OperationContext CoreState::context(Caller caller, SessionId session) {
  return {.caller = caller,
          .session = session,
          .now = clock.wall(),
          .held = sessions,
          .groups = cluster,
          .defaults = row.default_policy(),
          .ids = row,
          .totals = row.totals(),
          .unfinished = unfinished_,
          .room = &room};
}

OperationContext CoreState::purge_context() {
  return {.caller = {},
          .session = {},
          .now = clock.wall(),
          .held = kNothingHeld,
          .groups = cluster,
          .defaults = row.default_policy(),
          .ids = row,
          .totals = row.totals(),
          .unfinished = unfinished_};
}

void CoreState::keep(const KvBatch& batch) {
  room.wrote(batch.byte_size());
  for (const KvBatch::Change& change : batch.changes()) {
    const bool put = change.kind == KvBatch::Change::Kind::put;
    if (change.key.front() == tables::Inodes::kPrefix && !put) forget(change.key);
  }
  row.keep();
  keep();
  cluster.keep();
  if (unfinished_.empty()) return;
  for (const InodeId inode : std::exchange(unfinished_, {})) orphans.add(inode, clock.now());
}

void CoreState::keep() {
  sessions.keep();
  leases.keep();
}

void CoreState::forget(std::string_view inode_key) {
  InodeId inode;
  if (parse_row_key<tables::Inodes>(inode_key, inode)) leases.gone(inode);
}

void CoreState::undo() {
  row.undo();
  sessions.undo();
  leases.undo();
  cluster.undo();
  unfinished_.clear();
}

}  // namespace dfs
