// How far the numbers of a cluster jump whose metadata is made anew out of an
// older state.
//
// After that state the lost server has given out more: ids of chunks, inodes,
// sessions, servers and groups, epochs, versions. Storage servers and mounts
// know them, and none may be given to something else. How many there were
// nobody knows; so each number jumps by more than could have been used up
// in the time since. The jump grows with that time, which makes it right also for a
// state that is restored twice: what the first life gave out lies below where
// the second begins.
//
// What a bound misses is caught where it would do harm: a storage server
// refuses other bytes under a chunk id that it has (`exists`), and the writer takes
// another id.
//
// Pure.
#pragma once

#include <cstdint>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "server/meta/store/records.h"

namespace dfs {

class Leap {
 public:
  //   invalid  `now` lies before `state_of`: one of the clocks is wrong
  static Result<Leap> since(WallNanos state_of, WallNanos now);

  void apply(ClusterRecord& record) const;
  // A group without ids left takes no more chunks; others are made.
  void apply(GroupRecord& record) const;
  // What mounts remember of the contents is of no version that comes again.
  void apply(InodeRecord& record) const;

 private:
  explicit Leap(std::uint64_t seconds) : seconds_(seconds) {}
  // Numbers of which `at_once` may be given out at any moment, and `a_second` for long.
  std::uint64_t jump(std::uint64_t at_once, std::uint64_t a_second) const {
    return at_once + seconds_ * a_second;
  }
  // The same of what is rare: one in `seconds`.
  std::uint64_t rare_jump(std::uint64_t at_once, std::uint64_t seconds) const {
    return at_once + seconds_ / seconds;
  }

  std::uint64_t seconds_;
};

}  // namespace dfs
