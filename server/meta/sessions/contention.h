// Which inodes several sessions write in turns, so quickly that handing a lease
// around costs more than writing through.
//
//   calm -> contended   kTakenMax leases to write were taken away within kWindow
//   contended -> calm   for kWindow fewer than kTurnsMin times another session
//                       asked to write than the one before
//
// Knows the latest kInodesMax inodes; who is forgotten is calm.
// Pure: time is handed in, and never goes back. Threads: the core's; no locks.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/base/ids.h"

namespace dfs {

class Contention {
 public:
  static constexpr std::chrono::seconds kWindow{1};
  static constexpr std::size_t kTakenMax = 8;
  static constexpr std::size_t kTurnsMin = 2;
  static constexpr std::size_t kInodesMax = 4'096;

  // A lease to write the inode is taken away from a session.
  void taken(InodeId inode, SteadyTime now);
  // A session asks to write the inode.
  void asked(InodeId inode, SessionId session, SteadyTime now);
  bool is_contended(InodeId inode, SteadyTime now);
  // Forgets what is over; now and then.
  void expire(SteadyTime now);

  bool is_empty() const { return inodes_.empty(); }
  std::size_t contended() const { return contended_; }
  // How often an inode has become so.
  std::uint64_t switches_to_contended() const { return to_contended_; }
  std::uint64_t switches_to_calm() const { return to_calm_; }

 private:
  // The times of the latest events of one kind.
  template <std::size_t count>
  class Times {
   public:
    Times() { times_.fill(SteadyTime::min()); }
    void add(SteadyTime now) {
      times_[next_] = now;
      next_ = (next_ + 1) % count;
    }
    // Whether all of them were later than `from`.
    bool all_after(SteadyTime from) const { return times_[next_] > from; }

   private:
    std::array<SteadyTime, count> times_;
    std::size_t next_ = 0;  // the oldest
  };
  struct Inode {
    InodeId inode;
    Times<kTakenMax> taken;
    Times<kTurnsMin> turns;
    SessionId last_asked;
    SteadyTime last_event{};
    SteadyTime since{};  // when it became contended
    bool contended = false;
  };
  using Inodes = std::list<Inode>;  // the one without events for longest first

  static bool is_over(const Inode& inode, SteadyTime now);
  void forget(Inodes::iterator inode);

  Inodes inodes_;
  std::unordered_map<InodeId, Inodes::iterator> places_;
  std::size_t contended_ = 0;
  std::uint64_t to_contended_ = 0;
  std::uint64_t to_calm_ = 0;
};

}  // namespace dfs
