// The ordered key-value seam: what the metadata tables and a storage
// server's chunk index stand on.
//
// Keys and values are byte strings; keys sort bytewise. RocksDbStore is the
// real one, MemoryKvStore (same header family) the double that fails on
// request and forgets what was not synced.
//
// Threads: any; writes are applied in the order in which write() is called
// by one thread. Readers see whole batches or nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace dfs {

// Changes that happen together. Later entries for a key win.
//
// All of it lies in one buffer, so that a batch that is cleared and filled
// again allocates nothing, and appending one to another is one copy. A key or
// a value has less than 4 GiB.
class KvBatch {
 public:
  // A view into the batch, valid until the batch changes.
  struct Change {
    enum class Kind : std::uint8_t { put, erase, erase_range };
    Kind kind;
    std::string_view key;    // erase_range: first key erased
    std::string_view value;  // erase_range: first key kept
  };
  class Iterator;
  class Changes;

  void put(std::string_view key, std::string_view value) { add(Change::Kind::put, key, value); }
  void erase(std::string_view key) { add(Change::Kind::erase, key, {}); }
  // Erases every key in [from, to).
  void erase_range(std::string_view from, std::string_view to) {
    add(Change::Kind::erase_range, from, to);
  }
  // `other`'s changes happen after this one's.
  void append(const KvBatch& other);
  bool empty() const { return count_ == 0; }
  // Keeps its memory for the next use, up to a limit.
  void clear();
  Changes changes() const;
  // How much memory its bytes take.
  std::size_t byte_size() const { return bytes_.size(); }

 private:
  void add(Change::Kind kind, std::string_view key, std::string_view value);

  std::string bytes_;  // kind, two lengths, key, value; again and again
  std::size_t count_ = 0;
};

class KvBatch::Iterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = Change;
  using difference_type = std::ptrdiff_t;
  using pointer = const Change*;
  using reference = Change;

  Iterator() = default;
  explicit Iterator(const char* at) : at_(at) {}
  Change operator*() const;
  Iterator& operator++();
  Iterator operator++(int) {
    Iterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(Iterator, Iterator) = default;

 private:
  const char* at_ = nullptr;
};

class KvBatch::Changes {
 public:
  Iterator begin() const { return Iterator(bytes_.data()); }
  Iterator end() const { return Iterator(bytes_.data() + bytes_.size()); }
  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }

 private:
  friend class KvBatch;
  Changes(std::string_view bytes, std::size_t count) : bytes_(bytes), count_(count) {}
  std::string_view bytes_;
  std::size_t count_;
};

// How far a write has got when write() returns.
enum class KvDurability {
  process,  // survives the death of this process (the log is in the page cache)
  stable,   // survives power loss
  none,     // may be lost with the process, back to the last flush()
};

// A position in the ordered keys. Not for sharing between threads. Sees the
// store as it was when the cursor was made.
class KvCursor {
 public:
  virtual ~KvCursor() = default;
  virtual void seek(std::string_view key) = 0;           // first key >= `key`
  virtual void seek_for_previous(std::string_view key) = 0;  // last key <= `key`
  virtual void next() = 0;
  virtual void previous() = 0;
  virtual bool valid() const = 0;
  virtual std::string_view key() const = 0;    // until the cursor moves
  virtual std::string_view value() const = 0;  // until the cursor moves
  // `corrupt` or `io` if the cursor became invalid for any reason but the end.
  virtual Result<void> status() const = 0;
};

// All keys as they were when the snapshot was made, for as long as it lives and
// for as many cursors as are wanted. What is overwritten or erased meanwhile
// keeps its space until then. Its cursors do not push what others need out of
// the store's caches; they end before it, and it ends before the store.
// Threads: any; each cursor one.
class KvSnapshot {
 public:
  virtual ~KvSnapshot() = default;
  virtual std::unique_ptr<KvCursor> cursor() const = 0;
};

class KvStore {
 public:
  virtual ~KvStore() = default;
  virtual Result<std::optional<std::string>> get(std::string_view key) const = 0;
  virtual std::unique_ptr<KvCursor> cursor() const = 0;
  // The same for who reads everything once: what others need stays cached.
  virtual std::unique_ptr<KvCursor> sweep() const { return cursor(); }
  virtual std::unique_ptr<KvSnapshot> snapshot() const = 0;
  //   no_space  the disk is full; nothing was applied
  //   io        the store is broken and refuses further writes
  virtual Result<void> write(const KvBatch& batch, KvDurability durability) = 0;
  // Everything written before the call survives power loss afterwards
  // (writes with durability `none` excepted).
  virtual Result<void> sync() = 0;
  // Everything written before the call, `none` included, is on stable media.
  virtual Result<void> flush() = 0;
  // Bytes on disk, roughly; for status pages.
  virtual std::uint64_t disk_bytes() const = 0;
  // What may still be written before writes are refused with `no_space`. Who
  // stops adding while some of it is left can still record deletions.
  virtual std::uint64_t free_bytes() const { return std::numeric_limits<std::uint64_t>::max(); }
};

}  // namespace dfs
