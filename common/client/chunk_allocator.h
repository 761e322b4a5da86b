// Names for new chunks, kept in stock so that a write needs no call.
//
// The metadata server hands out ranges of ids, each in one replica group.
// Whole chunks take turns over the ranges, so that a large file is spread
// over groups; small ones take neighbouring ids of one range, so that files
// written together can be read together.
//
// A range ends when the server says so, by this machine's steady clock from the
// moment it came: calendars of two machines may differ by hours, and jump. A
// range that seems to be over when it comes is used for kSurely, which the
// server grants at least; none is used for longer than kAtMost, whatever the
// calendars say. (The server refuses to take ids that it has given up.)
//
// Bound: a few ranges for each policy in use.
// Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/rpc/meta_client.h"

namespace dfs {

struct ChunkGrant {
  ChunkId chunk;
  std::string capability;
};

class ChunkAllocator {
 public:
  static constexpr std::chrono::minutes kSurely{3};
  static constexpr std::chrono::hours kAtMost{1};

  enum class Kind { small, whole };
  struct Wanted {
    InodeId inode;
    std::uint32_t replicas = 0;    // with chunk_size: the policy, as its attributes tell
    std::uint32_t chunk_size = 0;
    Kind kind = Kind::small;
    std::vector<ServerId> avoid;   // groups without these are preferred
  };

  ChunkAllocator(MetaClient& meta, const Clock& clock) : meta_(meta), clock_(clock) {}

  // Asks the server only when the stock is empty, or for `avoid`.
  // Errors: those of the allocate operation; interrupted.
  Result<ChunkGrant> take(const Wanted& wanted, Interrupt* interrupt);
  // The range of `chunk` was refused by a server: it is not used again.
  void discard(ChunkId chunk);
  // True if refill() should be called soon.
  bool runs_low() const;
  // Asks for more of what runs low, for everybody.
  Result<void> refill(Interrupt* interrupt);

 private:
  using Policy = std::pair<std::uint32_t, std::uint32_t>;
  struct Held : ChunkRange {
    SteadyTime until = SteadyTime::max();
  };
  struct Stock {
    InodeId inode;             // one whose policy this is
    std::vector<Held> ranges;  // none empty
    std::size_t next = 0;      // range whose turn it is for a whole chunk
    bool refilling = false;
  };
  using Stocks = std::map<Policy, Stock>;

  Result<void> ask(const Wanted& wanted, std::uint32_t count, Interrupt* interrupt);
  bool take_locked(Stock& stock, const Wanted& wanted, ChunkGrant& grant) const;
  bool avoided(const ChunkRange& range, const std::vector<ServerId>& avoid) const;
  Held hold(ChunkRange range, SteadyTime asked) const;
  static std::uint64_t left_in(const Stock& stock);

  MetaClient& meta_;
  const Clock& clock_;
  Guarded<Stocks> stocks_;
};

}  // namespace dfs
