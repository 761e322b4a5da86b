// What a test puts in the way of calls: lookups that are slow, reads and
// attributes that wait, contents that fail, copies that stop short.
//
// Threads: any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

#include "common/base/result.h"
#include "common/rpc/interrupt.h"

namespace dfs {

class Obstacles {
 public:
  // --- for the test ---

  // Lookups of names that start with `prefix` take this long, or until
  // `together` of them are under way.
  void slow_lookups(std::string prefix, std::chrono::milliseconds delay, unsigned together);
  // The most lookups that were being slow at the same time.
  unsigned slow_lookups_at_once_max() const;
  // Reads wait until this is called with false, or for ever; an interrupt ends them.
  void block_reads(bool blocked);
  // Returns once `count` reads wait.
  void wait_for_blocked_reads(unsigned count);
  // Attributes are not to be had without a wait.
  void keep_attributes_away();
  // Calls on contents fail like this until it is ok again.
  void fail_contents(Errc code);
  // What makes a name fails like this.
  void fail_names(Errc code);
  // A copy does no more than this at once; or fails unless `code` is ok.
  void limit_copies(std::uint64_t bytes_max, Errc code = Errc::ok);
  // How many waits were interrupted.
  std::uint64_t interrupted() const;

  // --- for the calls ---

  Result<void> pass_lookup(const std::string& name, Interrupt* interrupt);
  Result<void> pass_read(Interrupt* interrupt);
  Result<void> pass_contents() const;
  Result<void> pass_new_name() const;
  // How much of `length` may be copied.
  Result<std::uint64_t> pass_copy(std::uint64_t length) const;
  bool attributes_are_away() const;

 private:
  Result<void> interrupted_locked();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string slow_prefix_;
  std::chrono::milliseconds slow_delay_{0};
  unsigned slow_together_ = 0;
  unsigned slow_now_ = 0;
  unsigned slow_max_ = 0;
  bool reads_blocked_ = false;
  unsigned blocked_reads_ = 0;
  bool attributes_away_ = false;
  Errc contents_error_ = Errc::ok;
  Errc names_error_ = Errc::ok;
  Errc copy_error_ = Errc::ok;
  std::uint64_t copy_bytes_max_ = UINT64_MAX;
  std::uint64_t interrupted_ = 0;
};

}  // namespace dfs
