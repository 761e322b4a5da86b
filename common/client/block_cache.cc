#include "common/client/block_cache.h"

#include <algorithm>
#include <utility>

namespace dfs {
namespace {

// Runs at least this long have slabs of their own, so that what is read in
// large pieces does not push out the small ones, nor break up.
constexpr std::uint32_t kLongRun = 256 * KiB;
// Small chunks are packed at this distance: it bounds the size of the index.
constexpr std::uint32_t kAlignment = 4 * KiB;

// A cache of fewer slabs is too small to be divided.
constexpr std::size_t kSlabsToDivide = 48;

std::uint32_t blocks_in(std::uint32_t length) { return (length + kBlockSize - 1) / kBlockSize; }

}  // namespace

Fetch::~Fetch() {
  if (pins_ != nullptr) pins_->fetch_sub(1, std::memory_order_release);
}

BlockCache::BlockCache(std::size_t bytes_max)
    : slab_count_(std::max<std::size_t>(2, bytes_max / kSlab)),
      region_(slab_count_ * kSlab),
      slabs_(std::make_unique<Slab[]>(slab_count_)),
      runs_max_(slab_count_ < kSlabsToDivide ? slab_count_ : slab_count_ / 3) {}

BlockCache::Found BlockCache::find(ChunkId chunk, std::uint32_t block, std::uint32_t least) {
  const Key key{chunk, block};
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto it = shard.entries.find(key);
  if (it == shard.entries.end()) return {};
  const Entry& entry = it->second;
  if (entry.fetch != nullptr) {
    const std::uint32_t start = block * kBlockSize;
    if (!entry.fetch->covers(start, start + least)) return {};
    return {false, {}, entry.fetch};
  }
  if (entry.length < least) return {};
  Slab& slab = slabs_[entry.slab];
  slab.pins.fetch_add(1, std::memory_order_acquire);
  slab.referenced.store(true, std::memory_order_relaxed);
  const std::byte* bytes = region_.data() + entry.slab * kSlab + entry.slab_offset;
  return {true, Hold(&slab.pins, {bytes, entry.length}), nullptr};
}

// Enters the fetch under the keys of its blocks; returns for how many bytes
// that was possible before the first block that somebody else has.
std::uint32_t BlockCache::enter(const FetchPtr& fetch) {
  std::uint32_t entered = 0;
  const std::uint32_t first = fetch->offset / kBlockSize;
  for (std::uint32_t i = 0; i < blocks_in(fetch->length); ++i) {
    const Key key{fetch->chunk, first + i};
    const std::uint32_t bytes = std::min<std::uint32_t>(kBlockSize, fetch->length - i * kBlockSize);
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    Entry& entry = shard.entries[key];
    const bool absent = entry.fetch == nullptr && entry.length < bytes;
    if (!absent) break;
    entry = Entry{0, 0, 0, fetch};
    entered += bytes;
  }
  return entered;
}

FetchPtr BlockCache::claim(ChunkId chunk, std::uint32_t offset, std::uint32_t length) {
  auto fetch = std::make_shared<Fetch>(chunk, offset, std::min<std::uint32_t>(length, kSlab));
  const std::uint32_t entered = enter(fetch);
  fetch->length = entered;
  if (entered == 0) return nullptr;
  if (place(*fetch)) return fetch;
  complete(fetch, fail(Errc::no_memory, "all cached blocks are in use"));
  return nullptr;
}

FetchPtr BlockCache::private_fetch(ChunkId chunk, std::uint32_t offset, std::uint32_t length) {
  auto fetch = std::make_shared<Fetch>(chunk, offset, length);
  fetch->own_ = std::make_unique_for_overwrite<std::byte[]>(length);
  fetch->into = fetch->own_.get();
  return fetch;
}

// Finds memory for the fetch and pins it.
bool BlockCache::place(Fetch& fetch) {
  const std::uint32_t length = fetch.length;
  const std::uint32_t needed = (length + kAlignment - 1) / kAlignment * kAlignment;
  const std::lock_guard lock(space_mutex_);
  std::uint32_t& filling = length >= kLongRun ? filling_runs_ : filling_small_;
  if (filling == kNoSlab || slabs_[filling].used + needed > kSlab) {
    filling = kNoSlab;
    filling = length >= kLongRun ? slab_for_runs_locked() : empty_slab_locked();
    if (filling == kNoSlab) return false;
  }
  Slab& slab = slabs_[filling];
  fetch.slab_ = filling;
  fetch.slab_offset_ = slab.used;
  fetch.into = region_.data() + filling * kSlab + slab.used;
  fetch.pins_ = &slab.pins;
  slab.pins.fetch_add(1, std::memory_order_acquire);
  slab.referenced.store(true, std::memory_order_relaxed);
  slab.used += needed;
  for (std::uint32_t i = 0; i < blocks_in(length); ++i) {
    slab.keys.push_back({fetch.chunk, fetch.offset / kBlockSize + i});
  }
  return true;
}

std::uint32_t BlockCache::slab_for_runs_locked() {
  for (std::size_t left = runs_.size() < runs_max_ ? 0 : runs_.size(); left > 0; --left) {
    const std::uint32_t oldest = runs_.front();
    runs_.pop_front();
    runs_.push_back(oldest);
    if (slabs_[oldest].pins.load(std::memory_order_acquire) == 0 && evict_locked(oldest)) return oldest;
  }
  const std::uint32_t slab = empty_slab_locked();
  if (slab != kNoSlab && runs_max_ < slab_count_) {
    slabs_[slab].of_runs = true;
    runs_.push_back(slab);
  }
  return slab;
}

std::uint32_t BlockCache::empty_slab_locked() {
  if (never_used_ < slab_count_) return never_used_++;
  for (std::size_t look = 0; look < 2 * slab_count_; ++look) {
    hand_ = (hand_ + 1) % static_cast<std::uint32_t>(slab_count_);
    if (hand_ == filling_runs_ || hand_ == filling_small_ || slabs_[hand_].of_runs) continue;
    Slab& slab = slabs_[hand_];
    if (slab.pins.load(std::memory_order_acquire) > 0) continue;
    if (slab.referenced.exchange(false, std::memory_order_relaxed)) continue;
    if (evict_locked(hand_)) return hand_;
  }
  return kNoSlab;
}

bool BlockCache::evict_locked(std::uint32_t index) {
  Slab& slab = slabs_[index];
  for (const Key& key : slab.keys) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto it = shard.entries.find(key);
    const bool here = it != shard.entries.end() && it->second.fetch == nullptr &&
                      it->second.slab == index;
    if (here) shard.entries.erase(it);
  }
  slab.keys.clear();
  // Nobody finds it any more; somebody may have found it a moment ago.
  if (slab.pins.load(std::memory_order_acquire) > 0) return false;
  slab.used = 0;
  return true;
}

void BlockCache::complete(const FetchPtr& fetch, Result<void> result) {
  if (fetch->own_ == nullptr) {
    const std::uint32_t first = fetch->offset / kBlockSize;
    for (std::uint32_t i = 0; i < blocks_in(fetch->length); ++i) {
      const Key key{fetch->chunk, first + i};
      Shard& shard = shard_of(key);
      const std::lock_guard lock(shard.mutex);
      const auto it = shard.entries.find(key);
      if (it == shard.entries.end() || it->second.fetch != fetch) continue;
      if (!result) {
        shard.entries.erase(it);
        continue;
      }
      const std::uint32_t bytes = std::min<std::uint32_t>(kBlockSize, fetch->length - i * kBlockSize);
      it->second = Entry{fetch->slab_, fetch->slab_offset_ + i * kBlockSize, bytes, nullptr};
    }
  }
  fetch->result_ = std::move(result);
  fetch->done_.store(true, std::memory_order_release);
}

}  // namespace dfs
