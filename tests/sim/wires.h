// Calls between programs on other machines than each other's: of engines and of
// storage servers to storage servers, of storage servers to the metadata server.
// Whoever draws decides when a question arrives, when its answer does, and which
// never come.
//
// A call ends once: with its answer, or as `unavailable` when the way is cut, when
// the far end has died since or when its own end has. What was asked may have
// happened all the same. Calls overtake each other.
//
// Threads: call() and answers any; the rest is for the director, on whose turn
// questions arrive and calls end.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/rpc/interrupt.h"

namespace dfs::sim {

class Wires {
 public:
  using End = std::size_t;
  // Runs where the answer arrives.
  using Completion = std::function<void()>;
  // Whoever was asked says what is to happen there, from any thread, once.
  using Answer = std::function<void(Completion)>;

  struct Call {
    End from = 0;
    End to = 0;
    std::function<void(Answer)> ask;            // where the question arrives
    std::function<void(const Error&)> failed;   // instead of an answer
  };

  // A new end, alive.
  End add(std::string name);
  const std::string& name(End end) const { return ends_[end].name; }

  void call(Call call);
  // Until `done()`, which calls that end make true, or an interrupt.
  template <typename Done>
  void wait(Done&& done, Interrupt* interrupt = nullptr) {
    std::unique_lock lock(mutex_);
    if (interrupt == nullptr) return ended_.wait(lock, std::forward<Done>(done));
    const Interrupt::Wait registered(interrupt, ended_);
    while (!done() && !interrupt->interrupted()) ended_.wait_for(lock, std::chrono::milliseconds{100});
  }

  // --- for the director -------------------------------------------------------------

  enum class Event { arrive, answer, break_off };
  struct Choice {
    Event event;
    std::uint64_t call;
    End from;
  };
  std::vector<Choice> choices() const;
  void happen(const Choice& choice);

  // Its calls end, and what it was asked will not be answered. Until revive() nothing
  // reaches it.
  void die(End end);
  void revive(End end);
  // Nothing passes between the two, in neither direction, until mend().
  void cut(End one, End other);
  void mend(End one, End other);
  bool is_cut(End one, End other) const;

 private:
  enum class State { asked, at_work, answered };
  struct UnderWay {
    Call call;
    State state = State::asked;
    std::uint64_t life = 0;  // of the far end when the question arrived
    Completion completion;
  };
  struct Place {
    std::string name;
    bool alive = true;
    std::uint64_t life = 1;
  };

  bool passes(End one, End other) const { return !cuts_.contains(std::minmax(one, other)); }
  void answer(std::uint64_t number, Completion completion);
  void end(std::uint64_t number, const Completion& how);
  UnderWay take_locked(std::uint64_t number);

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<Place> ends_;  // grows while nobody calls
  std::set<std::pair<End, End>> cuts_;
  std::map<std::uint64_t, UnderWay> under_way_;
  std::uint64_t last_ = 0;
};

}  // namespace dfs::sim
