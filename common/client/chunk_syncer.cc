#include "common/client/chunk_syncer.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "common/base/log.h"

namespace dfs {
namespace {

// Chunks named in one call.
constexpr std::size_t kChunksPerCall = 1024;

// Completions may come after the waiter has gone away. Each writes its own
// result before it counts itself down.
struct Gathering {
  std::atomic<std::size_t> missing{0};
  std::vector<Result<void>> results;
};

}  // namespace

Result<std::vector<Result<void>>> ChunkSyncer::run(const std::vector<UnsyncedChunk>& chunks,
                                                   const std::vector<Call>& calls,
                                                   Interrupt* interrupt) {
  auto gathering = std::make_shared<Gathering>();
  gathering->missing = calls.size();
  gathering->results.resize(calls.size());
  const auto start = [&] {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      std::vector<ChunkId> ids;
      for (const std::size_t index : calls[i].indexes) ids.push_back(chunks[index].chunk);
      storage_.client(calls[i].server)->sync(std::move(ids), [gathering, i](Result<void> result) {
        gathering->results[i] = std::move(result);
        gathering->missing.fetch_sub(1, std::memory_order_acq_rel);
      });
    }
  };
  const auto finished = [&] { return gathering->missing.load(std::memory_order_acquire) == 0; };
  storage_.client(calls.front().server)->attend(start, finished, interrupt);
  if (!finished()) return fail(Errc::interrupted, "waiting for stable storage");
  return gathering->results;
}

Result<std::vector<ChunkSyncReport>> ChunkSyncer::sync(const std::vector<UnsyncedChunk>& chunks,
                                                       Interrupt* interrupt) {
  std::vector<ChunkSyncReport> reports(chunks.size());
  std::vector<std::size_t> not_found(chunks.size(), 0);
  std::map<ServerId, std::vector<std::size_t>> by_server;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    reports[i].chunk = chunks[i].chunk;
    reports[i].length = chunks[i].length;
    for (const ServerId server : chunks[i].stored_on) by_server[server].push_back(i);
  }
  std::vector<Call> calls;
  for (const auto& [server, indexes] : by_server) {
    for (std::size_t at = 0; at < indexes.size(); at += kChunksPerCall) {
      const auto first = indexes.begin() + static_cast<std::ptrdiff_t>(at);
      const auto last = indexes.begin() +
                        static_cast<std::ptrdiff_t>(std::min(at + kChunksPerCall, indexes.size()));
      calls.push_back({server, {first, last}});
    }
  }

  while (!calls.empty()) {
    const std::vector<Result<void>> results = TRY(run(chunks, calls, interrupt));
    std::vector<Call> again;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const Call& call = calls[i];
      const bool unclear = !results[i] && results[i].error().code == Errc::not_found;
      if (unclear && call.indexes.size() > 1) {
        // One of them is missing there; which one shows when they are asked alone.
        for (const std::size_t index : call.indexes) again.push_back({call.server, {index}});
        continue;
      }
      if (results[i]) {
        health_.answered(call.server);
        told_.with([&](auto& told) { told.erase(call.server); });
      } else if (!unclear) {
        health_.failed(call.server);
        tell(call.server, results[i].error());
      }
      for (const std::size_t index : call.indexes) {
        (results[i] ? reports[index].synced_on : reports[index].missing_on).push_back(call.server);
        if (unclear) ++not_found[index];
      }
    }
    calls = std::move(again);
  }
  for (std::size_t i = 0; i < reports.size(); ++i) {
    reports[i].nowhere = reports[i].synced_on.empty() && !chunks[i].stored_on.empty() &&
                         not_found[i] == chunks[i].stored_on.size();
  }
  return reports;
}

// Whoever waits for it tries again every moment: one line until it can, or another
// thing is wrong.
void ChunkSyncer::tell(ServerId server, const Error& problem) {
  const bool is_news = told_.with([&](auto& told) {
    const auto [entry, is_new] = told.try_emplace(server, problem.code);
    return std::exchange(entry->second, problem.code) != problem.code || is_new;
  });
  if (is_news) log_warn("client", "server {} could not sync: {}", server.value(), problem.to_string());
}

}  // namespace dfs
