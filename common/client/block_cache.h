// Bytes of chunks, kept in memory in blocks of kBlockSize.
//
// Chunks never change, so what is here is never stale. The memory is cut into
// slabs; a run of blocks that is fetched together lies in one piece in one
// slab, so that a whole run arrives in one piece, and small chunks share a
// slab. Slabs are reused in the order of CLOCK.
//
// Bound: `bytes_max`, rounded down to whole slabs, plus an index of about 2 %.
// Threads: any.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/client/memory_region.h"

namespace dfs {

class BlockCache;

// Bytes [offset, offset + length) of a chunk on their way into memory. The
// memory stays as it is while somebody has the Fetch.
class Fetch {
 public:
  Fetch(ChunkId chunk_id, std::uint32_t first, std::uint32_t count)
      : chunk(chunk_id), offset(first), length(count) {}
  ~Fetch();
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  const ChunkId chunk;
  const std::uint32_t offset;
  // Shrinks while it is entered into the cache, to what nobody else has.
  std::atomic<std::uint32_t> length;
  std::byte* into = nullptr;

  bool covers(std::uint32_t from, std::uint32_t to) const {
    return from >= offset && to <= offset + length;
  }

  // The server asked, and when (nanoseconds of the steady clock); 0 before.
  std::atomic<std::uint32_t> server{0};
  std::atomic<std::int64_t> asked{0};

  // Until then `result` belongs to whoever fetches.
  bool done() const { return done_.load(std::memory_order_acquire); }
  const Result<void>& result() const { return result_; }

 private:
  friend class BlockCache;
  std::atomic<bool> done_{false};
  Result<void> result_;
  std::atomic<std::uint32_t>* pins_ = nullptr;  // of its slab
  std::uint32_t slab_ = 0;
  std::uint32_t slab_offset_ = 0;
  std::unique_ptr<std::byte[]> own_;            // when it is not for the cache
};
using FetchPtr = std::shared_ptr<Fetch>;

class BlockCache {
 public:
  static constexpr std::size_t kSlab = 1 * MiB;

  explicit BlockCache(std::size_t bytes_max);

  // Cached bytes that stay where they are while this lives.
  class Hold {
   public:
    Hold() = default;
    Hold(std::atomic<std::uint32_t>* pins, BufferView view) : pins_(pins), bytes_(view) {}
    Hold(Hold&& other) noexcept
        : pins_(std::exchange(other.pins_, nullptr)), bytes_(other.bytes_) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(pins_, other.pins_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Hold() {
      if (pins_ != nullptr) pins_->fetch_sub(1, std::memory_order_release);
    }
    BufferView bytes() const { return bytes_; }

   private:
    std::atomic<std::uint32_t>* pins_ = nullptr;
    BufferView bytes_;
  };
  struct Found {
    bool ready = false;
    Hold hold;       // if ready: the block from its start
    FetchPtr fetch;  // if it is on its way
  };
  // Block `block` of `chunk`, if at least `least` bytes of it are here or on their way.
  Found find(ChunkId chunk, std::uint32_t block, std::uint32_t least);

  // Claims a run of absent blocks for the caller to fetch and complete():
  // from `offset`, a block border, `length` bytes or as many as are absent and
  // fit into one slab. Null if the first block is here or on its way, or if
  // all memory is in use.
  FetchPtr claim(ChunkId chunk, std::uint32_t offset, std::uint32_t length);
  // A fetch that has nothing to do with the cache.
  static FetchPtr private_fetch(ChunkId chunk, std::uint32_t offset, std::uint32_t length);
  // What was fetched is there (or is not). Once per fetch.
  void complete(const FetchPtr& fetch, Result<void> result);

  std::size_t slabs() const { return slab_count_; }

 private:
  struct Key {
    ChunkId chunk;
    std::uint32_t block;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      std::uint64_t x = key.chunk.value() * 0x9E3779B97F4A7C15U + key.block * 0xBF58476D1CE4E5B9U;
      x ^= x >> 29;
      x *= 0x94D049BB133111EBU;
      return x ^ (x >> 32);
    }
  };
  struct Entry {
    std::uint32_t slab = 0;
    std::uint32_t slab_offset = 0;
    std::uint32_t length = 0;
    FetchPtr fetch;  // null: the bytes are here
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<Key, Entry, KeyHash> entries;
  };
  struct Slab {
    std::atomic<std::uint32_t> pins{0};
    std::atomic<bool> referenced{false};
    std::uint32_t used = 0;       // with the rest: guarded by space_mutex_
    bool of_runs = false;
    std::vector<Key> keys;
  };
  static constexpr std::size_t kShards = 16;
  static constexpr std::uint32_t kNoSlab = UINT32_MAX;

  Shard& shard_of(const Key& key) { return shards_[KeyHash{}(key) >> 8 & (kShards - 1)]; }
  std::uint32_t enter(const FetchPtr& fetch);
  bool place(Fetch& fetch);
  std::uint32_t slab_for_runs_locked();
  std::uint32_t empty_slab_locked();
  bool evict_locked(std::uint32_t slab);

  const std::size_t slab_count_;
  const MemoryRegion region_;
  std::unique_ptr<Slab[]> slabs_;
  std::array<Shard, kShards> shards_;

  std::mutex space_mutex_;                  // taken before a shard's, never after
  std::uint32_t filling_runs_ = kNoSlab;    // the slab that takes long runs
  std::uint32_t filling_small_ = kNoSlab;   // and the one for the rest
  // Slabs of long runs, the oldest first. What streams by is used once, so it
  // goes round in a part of the cache: it pushes out nothing that is read at
  // random, and touches no more memory than it needs (a page that is touched
  // for the first time costs more than the bytes that go into it).
  const std::size_t runs_max_;
  std::deque<std::uint32_t> runs_;
  std::uint32_t hand_ = 0;
  std::uint32_t never_used_ = 0;
};

}  // namespace dfs
