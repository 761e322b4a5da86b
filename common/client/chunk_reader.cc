#include "common/client/chunk_reader.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "common/base/log.h"
#include "common/client/client_metrics.h"
#include "common/client/wait.h"
#include "common/rpc/protocol.h"

namespace dfs {
namespace {

// One request fetches at most this much: enough to be efficient, little
// enough that a reader does not wait long for its first bytes.
constexpr std::uint32_t kUnit = 1 * MiB;

std::uint32_t block_start(std::uint32_t offset) { return offset / kBlockSize * kBlockSize; }

std::uint32_t block_end(std::uint32_t offset, std::uint32_t chunk_length) {
  return std::min(block_start(offset) + kBlockSize, chunk_length);
}

}  // namespace

ChunkReader::ChunkReader(const Parts& parts) : parts_(parts) {}

ChunkReader::~ChunkReader() {
  std::unique_lock lock(idle_mutex_);
  idle_.wait(lock, [this] { return in_flight_.load() == 0; });
}

void ChunkReader::leave() {
  const std::lock_guard lock(idle_mutex_);
  if (in_flight_.fetch_sub(1) == 1) idle_.notify_all();
}

ServerId ChunkReader::best_replica(ChunkId chunk) const {
  // A whole chunk from one replica, the next chunk from the next one: each
  // disk reads in order, all of them at once.
  const auto order =
      parts_.health.read_order(*parts_.meta.group_table(), chunk.group(), chunk.serial());
  return order.empty() ? ServerId{} : order.front();
}

ChunkReader::Batch ChunkReader::begin(const std::vector<ChunkSlice>& slices, Caching caching) {
  Batch batch;
  std::vector<FetchPtr> mine;
  for (const ChunkSlice& slice : slices) begin_slice(slice, caching, batch, mine);
  if (!mine.empty()) {
    client_metrics().cache_misses.add(static_cast<double>(mine.size()));
    ask(std::move(mine), 0);
  }
  return batch;
}

void ChunkReader::begin_slice(const ChunkSlice& slice, Caching caching, Batch& batch,
                              std::vector<FetchPtr>& mine) {
  if (caching == Caching::direct) {
    mine.push_back(BlockCache::private_fetch(slice.chunk, slice.offset, slice.length));
    add_part(batch, mine.back(), slice);
    return;
  }
  const std::uint32_t end = slice.offset + slice.length;
  std::uint32_t at = slice.offset;
  while (at < end) {
    const std::uint32_t start = block_start(at);
    const std::uint32_t to = std::min(start + kBlockSize, end);
    const ChunkSlice part{slice.chunk, at, to - at, slice.chunk_length,
                          slice.into + (at - slice.offset)};
    const BlockCache::Found found = parts_.cache.find(slice.chunk, start / kBlockSize, to - start);
    if (found.ready) {
      std::memcpy(part.into, found.hold.bytes().data() + (at - start), part.length);
      client_metrics().cache_hits.add();
    } else if (found.fetch != nullptr) {
      add_part(batch, found.fetch, part);
    } else {
      // Whole blocks up to the end of what is wanted, where the chunk has them.
      const std::uint32_t wanted = std::max(block_end(end - 1, slice.chunk_length), end);
      FetchPtr fetch = parts_.cache.claim(slice.chunk, start, std::min(wanted - start, kUnit));
      if (fetch == nullptr) fetch = BlockCache::private_fetch(slice.chunk, at, part.length);
      mine.push_back(fetch);
      add_part(batch, fetch, part);
    }
    at = to;
  }
}

// Neighbouring parts of one fetch become one.
void ChunkReader::add_part(Batch& batch, const FetchPtr& fetch, const ChunkSlice& part) {
  if (!batch.parts_.empty()) {
    Batch::Part& last = batch.parts_.back();
    const bool continues = last.fetch == fetch &&
                           last.slice.offset + last.slice.length == part.offset &&
                           last.slice.into + last.slice.length == part.into;
    if (continues) {
      last.slice.length += part.length;
      return;
    }
  }
  batch.parts_.push_back({fetch, part});
}

void ChunkReader::ask(std::vector<FetchPtr> fetches, std::size_t ahead_bytes) {
  std::map<ServerId, std::vector<FetchPtr>> by_server;
  for (FetchPtr& fetch : fetches) {
    fetch->server = best_replica(fetch->chunk);
    by_server[fetch->server].push_back(std::move(fetch));
  }
  for (auto& [server, its] : by_server) {
    if (server == ServerId{}) {
      for (const FetchPtr& fetch : its) {
        parts_.cache.complete(fetch, fail(Errc::unavailable, "the chunk's group is unknown"));
      }
      ahead_bytes_.fetch_sub(ahead_bytes);
      continue;
    }
    for (std::size_t from = 0; from < its.size(); from += kRangesPerGetMax) {
      const std::size_t to = std::min(its.size(), from + kRangesPerGetMax);
      const std::vector<FetchPtr> some(its.begin() + static_cast<std::ptrdiff_t>(from),
                                       its.begin() + static_cast<std::ptrdiff_t>(to));
      std::vector<GetArgs> ranges;
      ranges.reserve(some.size());
      for (const FetchPtr& fetch : some) {
        ranges.push_back({fetch->chunk, fetch->offset, fetch->length, fetch->into});
        client_metrics().fetched_bytes.add(static_cast<double>(ranges.back().length));
      }
      enter();
      const SteadyTime asked = parts_.clock.now();
      parts_.storage.client(server)->get(
          std::move(ranges), [this, some, asked, ahead_bytes](std::vector<Result<void>> results) {
            note_duration(parts_.clock.now() - asked);
            for (std::size_t i = 0; i < some.size(); ++i) {
              Result<void> result = i < results.size()
                                        ? std::move(results[i])
                                        : Result<void>(fail(Errc::bad_message, "too few answers"));
              parts_.cache.complete(some[i], std::move(result));
            }
            ahead_bytes_.fetch_sub(ahead_bytes);
            leave();
          });
    }
  }
}

void ChunkReader::fetch_ahead(const std::vector<ChunkSlice>& slices) {
  // What is fetched ahead and not read yet must not push itself out.
  const std::size_t budget = parts_.config.read_cache_bytes / 4;
  for (const ChunkSlice& slice : slices) {
    const std::uint32_t end = slice.offset + slice.length;
    std::uint32_t at = block_start(slice.offset);
    while (at < end) {
      const std::uint32_t unit_end = at / kUnit * kUnit + kUnit;
      const std::uint32_t to = std::min({unit_end, std::max(block_end(end - 1, slice.chunk_length), end)});
      if (ahead_bytes_.load() + (to - at) > budget) return;
      const FetchPtr fetch = parts_.cache.claim(slice.chunk, at, to - at);
      if (fetch == nullptr) {
        // Somebody has the block, or there is no room.
        const std::uint32_t least = std::min(at + kBlockSize, to) - at;
        const BlockCache::Found found = parts_.cache.find(slice.chunk, at / kBlockSize, least);
        if (!found.ready && found.fetch == nullptr) return;
        at += kBlockSize;
        continue;
      }
      const std::uint32_t length = fetch->length;
      ahead_bytes_.fetch_add(length);
      client_metrics().read_ahead_bytes.add(length);
      at += length;
      ask({fetch}, length);
    }
  }
}

Result<ChunkReader::Arrival> ChunkReader::await(Fetch& fetch, std::optional<SteadyTime> until,
                                                Interrupt* interrupt) const {
  std::unique_lock lock(fetch.mutex);
  switch (wait_until(lock, fetch.arrived, {parts_.clock, interrupt, until},
                     [&] { return fetch.done; })) {
    case Wake::ready:
      return fetch.result ? Arrival::there : Arrival::failed;
    case Wake::expired:
      return Arrival::slow;
    case Wake::interrupted:
      break;
  }
  return fail(Errc::interrupted, "reading");
}

Result<void> ChunkReader::finish(Batch batch, Interrupt* interrupt) {
  for (const Batch::Part& part : batch.parts_) TRY(finish_part(part, interrupt));
  return {};
}

Result<void> ChunkReader::finish_part(const Batch::Part& part, Interrupt* interrupt) {
  const SteadyTime hedge_at = parts_.clock.now() + hedge_after();
  const Arrival arrival = TRY(await(*part.fetch, hedge_at, interrupt));
  if (arrival == Arrival::there) {
    std::memcpy(part.slice.into, part.fetch->into + (part.slice.offset - part.fetch->offset),
                part.slice.length);
    return {};
  }
  return rescue(part.slice, part.fetch, arrival == Arrival::slow, interrupt);
}

std::chrono::nanoseconds ChunkReader::hedge_after() const {
  using std::chrono::milliseconds;
  using std::chrono::nanoseconds;
  const nanoseconds usual{usual_ns_.load(std::memory_order_relaxed)};
  if (usual.count() == 0) return milliseconds{500};
  return std::clamp<nanoseconds>(usual * 10, milliseconds{50}, milliseconds{500});
}

void ChunkReader::note_duration(std::chrono::nanoseconds took) {
  const std::int64_t before = usual_ns_.load(std::memory_order_relaxed);
  const std::int64_t now = before == 0 ? took.count() : before + (took.count() - before) / 16;
  usual_ns_.store(now, std::memory_order_relaxed);
}

}  // namespace dfs
