#include "common/client/chunk_reader.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "common/base/log.h"
#include "common/client/client_metrics.h"
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

ChunkReader::ChunkReader(const Parts& parts) : parts_(parts), bad_copies_(parts.clock) {}

ChunkReader::~ChunkReader() {
  std::unique_lock lock(idle_mutex_);
  idle_.wait(lock, [this] { return in_flight_.load() == 0; });
}

void ChunkReader::leave() {
  const std::lock_guard lock(idle_mutex_);
  if (in_flight_.fetch_sub(1) == 1) idle_.notify_all();
}

std::vector<ServerId> ChunkReader::replicas(ChunkId chunk) const {
  // A whole chunk from one replica, the next chunk from the next one: each
  // disk reads in order, all of them at once.
  std::vector<ServerId> order =
      parts_.health.read_order(*parts_.meta.group_table(), chunk.group(), chunk.serial());
  std::stable_partition(order.begin(), order.end(),
                        [&](ServerId server) { return !bad_copies_.is_bad(chunk, server); });
  return order;
}

Result<void> ChunkReader::read(const std::vector<ChunkSlice>& slices,
                               const std::vector<ChunkSlice>& ahead, Caching caching,
                               Interrupt* interrupt) {
  std::vector<Part> parts;
  std::vector<FetchPtr> mine;
  for (const ChunkSlice& slice : slices) begin_slice(slice, caching, parts, mine);
  if (parts.empty()) {
    fetch_ahead(ahead);
    return {};
  }

  client_metrics().cache_misses.add(static_cast<double>(mine.size()));
  const ChunkId first = parts.front().fetch->chunk;
  const std::vector<ServerId> order = replicas(first);
  const ServerId server = order.empty() ? ServerId{} : order.front();
  const auto start = [&] {
    ask(mine, 0);
    fetch_ahead(ahead);
  };
  const auto finished = [&] {
    const auto waiting = std::find_if(parts.begin(), parts.end(),
                                      [](const Part& part) { return !part.fetch->done(); });
    return waiting == parts.end() || parts_.clock.now() >= hedge_at(*waiting->fetch);
  };
  parts_.storage.client(server)->attend(start, finished, interrupt);
  for (const Part& part : parts) TRY(finish_part(part, interrupt));
  return {};
}

void ChunkReader::begin_slice(const ChunkSlice& slice, Caching caching, std::vector<Part>& parts,
                              std::vector<FetchPtr>& mine) {
  if (caching == Caching::direct) {
    mine.push_back(BlockCache::private_fetch(slice.chunk, slice.offset, slice.length));
    add_part(parts, mine.back(), slice);
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
      add_part(parts, found.fetch, part);
    } else {
      // Whole blocks up to the end of what is wanted, where the chunk has them.
      const std::uint32_t wanted = std::max(block_end(end - 1, slice.chunk_length), end);
      FetchPtr fetch = parts_.cache.claim(slice.chunk, start, std::min(wanted - start, kUnit));
      if (fetch == nullptr) fetch = BlockCache::private_fetch(slice.chunk, at, part.length);
      mine.push_back(fetch);
      add_part(parts, fetch, part);
    }
    at = to;
  }
}

// Neighbouring parts of one fetch become one.
void ChunkReader::add_part(std::vector<Part>& parts, const FetchPtr& fetch,
                           const ChunkSlice& part) {
  if (!parts.empty()) {
    Part& last = parts.back();
    const bool continues = last.fetch == fetch &&
                           last.slice.offset + last.slice.length == part.offset &&
                           last.slice.into + last.slice.length == part.into;
    if (continues) {
      last.slice.length += part.length;
      return;
    }
  }
  parts.push_back({fetch, part});
}

void ChunkReader::ask(const std::vector<FetchPtr>& fetches, std::size_t ahead_bytes) {
  const SteadyTime asked = parts_.clock.now();
  std::map<ServerId, std::vector<FetchPtr>> by_server;
  for (const FetchPtr& fetch : fetches) {
    const std::vector<ServerId> order = replicas(fetch->chunk);
    const ServerId server = order.empty() ? ServerId{} : order.front();
    fetch->server.store(server.value(), std::memory_order_relaxed);
    fetch->asked.store(asked.time_since_epoch().count(), std::memory_order_release);
    by_server[server].push_back(fetch);
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
      // Shared, so that it can be emptied when the answer is there: whoever made
      // the call may keep the function for longer than the cache lives.
      const auto some = std::make_shared<std::vector<FetchPtr>>(
          its.begin() + static_cast<std::ptrdiff_t>(from),
          its.begin() + static_cast<std::ptrdiff_t>(to));
      std::vector<GetArgs> ranges;
      ranges.reserve(some->size());
      for (const FetchPtr& fetch : *some) {
        ranges.push_back({fetch->chunk, fetch->offset, fetch->length, fetch->into});
        client_metrics().fetched_bytes.add(static_cast<double>(ranges.back().length));
      }
      enter();
      parts_.storage.client(server)->get(
          std::move(ranges), [this, some, asked, ahead_bytes](std::vector<Result<void>> results) {
            note_duration(parts_.clock.now() - asked);
            for (std::size_t i = 0; i < some->size(); ++i) {
              Result<void> result = i < results.size()
                                        ? std::move(results[i])
                                        : Result<void>(fail(Errc::bad_message, "too few answers"));
              parts_.cache.complete((*some)[i], std::move(result));
            }
            ahead_bytes_.fetch_sub(ahead_bytes);
            some->clear();
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

SteadyTime ChunkReader::hedge_at(const Fetch& fetch) const {
  const std::int64_t asked = fetch.asked.load(std::memory_order_acquire);
  // Whoever claimed it is about to ask.
  if (asked == 0) return SteadyTime::max();
  return SteadyTime{std::chrono::nanoseconds{asked}} + hedge_after();
}

Result<void> ChunkReader::finish_part(const Part& part, Interrupt* interrupt) {
  Fetch& fetch = *part.fetch;
  if (!fetch.done()) {
    const auto finished = [&] { return fetch.done() || parts_.clock.now() >= hedge_at(fetch); };
    parts_.storage.client(ServerId{fetch.server})->attend([] {}, finished, interrupt);
  }
  if (!fetch.done()) {
    if (interrupt != nullptr && interrupt->interrupted()) return fail(Errc::interrupted, "reading");
    return rescue(part.slice, part.fetch, true, interrupt);
  }
  if (!fetch.result()) return rescue(part.slice, part.fetch, false, interrupt);
  std::memcpy(part.slice.into, fetch.into + (part.slice.offset - fetch.offset), part.slice.length);
  return {};
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
