// Access times that reading has moved here and the servers do not know yet.
//
// An access counts by Linux's rule for relatime: if the last one was no later
// than the last change, or was a day ago. So reading a file a second time
// costs nothing.
//
// It takes the place of the access time that its reader saw: wherever another
// one stands by then, somebody has set it, and it stays. show() and the server
// (TouchArgs) do the same, so no access that was noted before a utimensat(2)
// undoes it, however late it comes.
//
// Of all that a client keeps, this alone may be lost: a full table takes no
// more, and what the server did not take is not sent again.
//
// Bound: kWaitingMax noted, and what is in unanswered messages.
// Threads: any; no other lock is taken.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/rpc/meta_api.h"
#include "common/rpc/protocol.h"

namespace dfs {

class AccessTimes {
 public:
  // As many as a program reads while a message is on its way.
  static constexpr std::size_t kWaitingMax = 16 * kAccessTimesPerTouchMax;

  enum class Noted {
    no,            // the rule says so, or there is no room
    yes,
    yes_and_wake,  // whoever sends has something new to wait for
  };
  // The inode was read at `wall`, by somebody who saw these attributes.
  Noted note(const Attributes& seen, WallNanos wall, SteadyTime now);
  // Puts what was noted into attributes that the server told, or will be told.
  void show(Attributes& attributes) const;
  // The times of the inode are being set here.
  void forget(InodeId inode);

  // The next message, if what waits is due: a message is full, or something was
  // noted before `noted_before`. None while another one is unanswered.
  std::optional<TouchArgs> take_due(SteadyTime noted_before);
  // The same of all that waits, whatever is unanswered.
  std::optional<TouchArgs> take();
  // A message was answered, or could not be sent.
  void answered(bool taken);
  // What the server has taken, all messages being answered: whoever caches what
  // it told before moves the times there, and then has them dropped here.
  std::vector<AccessTime> settled() const;
  void drop_settled();

  bool empty() const { return !any_.load(std::memory_order_acquire); }

 private:
  struct Moved {
    WallNanos seen = 0;
    WallNanos accessed = 0;
  };
  using Table = std::unordered_map<InodeId, Moved>;
  struct State {
    Table waiting;
    SteadyTime waiting_since;
    Table sent;
    std::size_t unanswered = 0;  // messages
    bool refused = false;        // one of them at least
  };

  static void show(const Table& table, Attributes& attributes);
  static TouchArgs take_message(State& state);
  void look_whether_any(const State& state) {
    any_.store(!state.waiting.empty() || !state.sent.empty(), std::memory_order_release);
  }

  Guarded<State> state_;
  std::atomic<bool> any_{false};  // so that who finds nothing takes no lock
};

}  // namespace dfs
