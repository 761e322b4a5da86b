// What the kernel holds open, in memory that outlives the process: the numbers that
// the kernel knows files and directories by stay right in the next one.
//
//   a record is complete before its number is told to the kernel;
//   a number is never used again.
//
// A record names the request that it was made for: if that comes again, nobody has
// heard of the number, and what was opened for it is closed.
//
// Bound: kHandlesMax open at once.
// Threads: any; the kernel uses a number only between the reply that named it and
// its release, so find() takes no lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/guarded.h"
#include "common/base/ids.h"

namespace dfs::fuse {

struct HandleRecord {
  enum Kind : std::uint32_t { file = 1, directory = 2 };

  std::uint64_t number;      // 0: free; stored last
  std::uint64_t inode;
  std::uint64_t made_for;    // the request; see plain_unique()
  Kind kind;
  std::int32_t flags;        // of open(2)
  std::uint64_t posix_owner;  // who asked last for a lock through it, plus 1; 0: nobody
  std::uint64_t flock_owner;
  std::uint64_t generation;   // the part of the number that no other one has
};
static_assert(sizeof(HandleRecord) == 56);

class HandleRecords {
 public:
  static constexpr std::uint32_t kLayout = 1;
  static constexpr unsigned kIndexBits = 20;
  static constexpr std::size_t kHandlesMax = std::size_t{1} << kIndexBits;

  static constexpr std::size_t bytes() { return kHandlesMax * sizeof(HandleRecord); }
  // `memory` is page-aligned, outlives this and is zero or was a former process's.
  explicit HandleRecords(MutableBuffer memory);
  HandleRecords(const HandleRecords&) = delete;
  HandleRecords& operator=(const HandleRecords&) = delete;

  static std::size_t index_of(std::uint64_t number) { return number & (kHandlesMax - 1); }

  // `fresh.number` is chosen here, and returned; empty: too many are open.
  std::optional<std::uint64_t> add(HandleRecord fresh);
  // Null if there is no such number (any more).
  HandleRecord* find(std::uint64_t number) const;
  void remove(std::uint64_t number);

  // Those that were here at the beginning.
  const std::vector<HandleRecord>& former() const { return former_; }
  // The number of a former process that was made for the request; once.
  std::optional<std::uint64_t> take_made_for(std::uint64_t request);

 private:
  struct Free {
    std::vector<std::uint32_t> indices;
    std::size_t never_used = 0;
    std::uint64_t last_generation = 0;
  };

  HandleRecord* const records_;
  std::vector<HandleRecord> former_;
  Guarded<Free> free_;
  Guarded<std::vector<std::pair<std::uint64_t, std::uint64_t>>> made_for_;  // request, number
};

}  // namespace dfs::fuse
