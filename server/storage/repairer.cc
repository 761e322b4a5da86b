#include "server/storage/repairer.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "server/storage/chunk_lists.h"

namespace dfs::storage {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kNotReadyPause{200};
constexpr milliseconds kTroublePause{2'000};
constexpr std::size_t kTasksAtOnce = 256;

}  // namespace

Repairer::Repairer(Parts parts, std::uint64_t bytes_per_second)
    : parts_(std::move(parts)),
      copier_(parts_.stores, parts_.servers),
      pace_(parts_.clock, bytes_per_second),
      copies_(metrics().counter("dfs_storage_repair_copies_total",
                                "Chunks of which repair made sure that there is a good copy.")),
      bytes_(metrics().counter("dfs_storage_repair_bytes_total", "Bytes copied by repair.")),
      failures_(metrics().counter("dfs_storage_repair_failures_total",
                                  "Copies that could not be made.")),
      dropped_(metrics().counter("dfs_storage_repair_dropped_total",
                                 "Chunks dropped because they belong elsewhere or nowhere.")) {}

milliseconds Repairer::step() {
  const auto self = parts_.membership();
  const GroupTablePtr table = parts_.table();
  if (!self || table == nullptr) return kNotReadyPause;
  return tasks_.empty() ? ask(*self, *table) : copy_some(*self, *table);
}

milliseconds Repairer::copy_some(const Membership& self, const GroupTable& table) {
  std::vector<CopyTask> some;
  std::uint64_t bytes = 0;
  while (!tasks_.empty() && some.size() < kTasksAtOnce) {
    if (bytes > 0 && bytes + tasks_.front().length > ChunkCopier::kBytesAtOnce) break;
    bytes += tasks_.front().length;
    some.push_back(std::move(tasks_.front()));
    tasks_.pop_front();
  }
  CopyOutcome outcome = copier_.copy(some, self.server, table);
  pace_.spent(outcome.bytes);
  copies_.add(static_cast<double>(outcome.copied.size()));
  bytes_.add(static_cast<double>(outcome.bytes));
  failures_.add(static_cast<double>(outcome.failed.size()));
  told_.copied.insert(told_.copied.end(), outcome.copied.begin(), outcome.copied.end());
  told_.failed.insert(told_.failed.end(), std::make_move_iterator(outcome.failed.begin()),
                      std::make_move_iterator(outcome.failed.end()));
  told_.copied_bytes += outcome.bytes;
  return pace_.wait();
}

milliseconds Repairer::ask(const Membership& self, const GroupTable& table) {
  const std::vector<ChunkId> damaged = parts_.damaged();
  told_.damaged.insert(told_.damaged.end(), damaged.begin(), damaged.end());
  told_.server = self.server;
  told_.identity = parts_.stores.identity().identity;
  auto result = parts_.meta.repair(told_);
  if (!result) {
    if (!std::exchange(trouble_, true))
      log_warn("repair", "{}; trying again", result.error().to_string());
    return kTroublePause;
  }
  trouble_ = false;
  told_ = {};
  if (result->register_again) return kTroublePause;  // the heartbeat does it
  const milliseconds pause = result->pause;
  take(std::move(*result), self, table);
  return pause;
}

void Repairer::take(RepairResult&& result, const Membership& self, const GroupTable& table) {
  tasks_.assign(std::make_move_iterator(result.to_copy.begin()),
                std::make_move_iterator(result.to_copy.end()));
  if (!result.to_drop.empty()) drop(result.to_drop, self, table);
  if (!result.to_delete.empty()) erase(result.to_delete);
  if (result.list) {
    auto listed = list_chunks(parts_.stores, *result.list);
    if (listed)
      told_.listed = std::move(*listed);
    else
      log_warn("repair", "the chunks here cannot be listed: {}", listed.error().to_string());
  }
  if (!result.list_groups) return;
  auto groups = list_groups(parts_.stores);
  if (groups)
    told_.groups = std::move(*groups);
  else
    log_warn("repair", "the groups here cannot be listed: {}", groups.error().to_string());
}

void Repairer::drop(const std::vector<ChunkId>& chunks, const Membership& self,
                    const GroupTable& table) {
  const auto spare = copier_.held_by_all_members(chunks, self.server, table);
  if (!spare.empty()) erase(spare);
}

void Repairer::erase(const std::vector<ChunkId>& chunks) {
  const auto erased = parts_.stores.erase(chunks);
  if (!erased)
    return log_warn("repair", "chunks cannot be deleted: {}", erased.error().to_string());
  dropped_.add(static_cast<double>(chunks.size()));
  log_info("repair", "{} chunks were dropped that belong elsewhere or nowhere", chunks.size());
}

}  // namespace dfs::storage
