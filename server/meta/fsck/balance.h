// Whether two tables say the same of each id, without remembering any id: what
// one says is added, what the other says is taken off, multiplied by a number
// that is made of the id. Ids are dealt into buckets; one whose sum is not 0
// holds an id that the tables disagree about, and only those have to be counted.
//
// A wrong answer "balanced" needs two differences that cancel: 1 in 2^64 for
// each, since the numbers depend on a salt that nobody knows.
//
// 512 KiB, however many ids there are. Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/random.h"

namespace dfs::fsck {

class Balance {
 public:
  static constexpr std::size_t kBuckets = 65'536;

  Balance() : Balance(random_number()) {}
  explicit Balance(std::uint64_t salt) : salt_(salt), sums_(kBuckets) {}

  // `times` may be negative. `detail`: what is to be the same besides.
  void add(std::uint64_t id, std::int64_t times, std::uint64_t detail = 0) {
    sums_[bucket_of(id)] += static_cast<std::uint64_t>(times) * (mix(id ^ mix(detail ^ salt_)) | 1);
  }
  bool is_balanced(std::uint64_t id) const { return sums_[bucket_of(id)] == 0; }
  std::size_t bucket_of(std::uint64_t id) const { return mix(id + salt_) % kBuckets; }
  bool is_bucket_balanced(std::size_t bucket) const { return sums_[bucket] == 0; }

 private:
  // The finalizer of SplitMix64.
  static std::uint64_t mix(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15ULL;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
  }

  std::uint64_t salt_;
  std::vector<std::uint64_t> sums_;
};

}  // namespace dfs::fsck
