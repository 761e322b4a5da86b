// How many requests are worked on at once, and which wait for a thread.
//
// A request that may block is admitted while fewer than `busy_max` are. The
// others are kept aside, so that whoever reads from the kernel never stops
// reading: behind a blocked request there may be the interrupt that ends it.
//
//   busy <= busy_max;  kept requests <= kept_max;  their bytes <= kept_bytes_max
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "common/base/bytes.h"

namespace dfs::fuse {

class Admission {
 public:
  struct Limits {
    std::size_t busy_max = 64;
    std::size_t kept_max = 1024;
    std::size_t kept_bytes_max = 16 << 20;
  };
  explicit Admission(Limits limits) : limits_(limits) {}

  enum class Verdict { run, kept };
  // `run`: the caller works on it and calls done(). `kept`: it has been
  // copied. Waits when even that is full.
  Verdict admit(BufferView request);

  // The caller's request is finished. If one was kept, it is copied to the
  // start of `into` and its size returned: the caller works on it and calls
  // done() again.
  std::optional<std::size_t> done(MutableBuffer into);

  // Takes the request with this `unique` out again if it is being kept.
  bool withdraw(std::uint64_t unique);

  std::size_t busy() const;

 private:
  bool has_room_locked(std::size_t bytes) const;

  const Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::size_t busy_ = 0;
  std::deque<std::vector<std::byte>> kept_;
  std::size_t kept_bytes_ = 0;
};

}  // namespace dfs::fuse
