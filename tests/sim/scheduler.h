// Runs the threads of this process one at a time, in an order that follows from a
// seed, and in a time of its own.
//
// One thread has the turn. When it has to wait, and now and then where it takes
// or releases a lock, it hands the turn to one of those that can go on, which the
// seed draws. Time stands still while any of them can: a timer never
// expires before everybody has done what he could do without it. So what is slow
// here is slow because the seed wants it, never because the machine is.
//
// interposed.cc brings threads, locks and clocks here, those of libraries too, from
// the construction of a scheduler to its destruction. The thread that constructs it
// is its director: it has the turn again when it asks for that below. At
// that time there is no other thread, and at the end there is none again.
//
// Threads: whoever has the turn.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <pthread.h>

#include "tests/model/dice.h"

namespace dfs::sim {

class Scheduler {
 public:
  using Time = std::chrono::nanoseconds;  // since the machine started
  // Far from any time of the machine: the two cannot be taken for each other.
  static constexpr std::chrono::seconds kCalendarAtStart{1'700'000'000};

  struct Options {
    std::uint64_t seed = 1;
    // Where a lock is taken or released, another thread goes on once in so many times;
    // 0: never.
    std::uint64_t one_in_preemptions = 0;
    // Nobody can go on, and no timer will change that; or the threads keep each other
    // busy for ever. Hears what each waits for and where; then the process ends
    // with 1, for its threads can not be got rid of.
    std::function<void(const std::string& threads)> stuck{};
  };
  explicit Scheduler(Options options);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Null: the calling thread is none of a scheduler's.
  static Scheduler* here();

  Time now() const { return now_; }

  // While there is one, whoever has the turn keeps it over locks that are free, and
  // nothing is drawn: what it does then makes no difference to the run.
  class Aside {
   public:
    Aside() : scheduler_(here()) {
      if (scheduler_ != nullptr) ++scheduler_->asides_;
    }
    ~Aside() {
      if (scheduler_ != nullptr) --scheduler_->asides_;
    }
    Aside(const Aside&) = delete;
    Aside& operator=(const Aside&) = delete;

   private:
    Scheduler* const scheduler_;
  };

  // --- for the director ---------------------------------------------------------------

  // The others go on until none can.
  void settle();
  // The others go on, but the turn passes only so often.
  void let_run(std::size_t turns);
  // Settles, and lets time pass until then, timer by timer, settled after each.
  void advance_to(Time time);
  // When the next one expires; empty: nobody waits for one.
  std::optional<Time> next_timer() const;
  // Who waits for what, and where; a paragraph for each thread.
  std::string threads();

  // --- for any, by way of interposed.cc -----------------------------------------------

  enum class Ended { woken, expired };
  // Until somebody wakes who waits for this, or a time has come. `what` lives for ever.
  Ended wait(const void* object, const char* what, std::optional<Time> until = std::nullopt);
  // False: nobody waits for it.
  bool wake_one(const void* object);
  void wake_all(const void* object);
  // Somebody else may go on here.
  void may_switch();
  // Somebody else goes on here, if anybody can.
  void yield();
  std::uint64_t random() { return dice_.number(); }

  int create(pthread_t* handle, const pthread_attr_t* attributes, void* (*start)(void*), void* argument);
  int join(pthread_t handle, void** result);
  int once(pthread_once_t* control, void (*work)());
  // Whoever comes first goes on, the others when he has ended it.
  void begin_once(const void* control);
  void end_once(const void* control);

 private:
  struct Thread;

  static void* run(void* thread);
  static void say_farewell(void* thread);

  Thread& next();
  bool expire_timers();
  void hand_over(Thread& to);
  void await_turn(Thread& me);
  void direct(std::optional<std::size_t> turns);
  std::string place_of(Thread& thread);
  [[noreturn]] void give_up();

  const Options options_;
  model::Dice dice_;
  Time now_{std::chrono::seconds{1}};
  pthread_key_t farewell_{};  // its destructor is the last that a thread does
  std::vector<std::unique_ptr<Thread>> threads_;
  Thread* current_ = nullptr;
  int asides_ = 0;
  Thread* director_ = nullptr;
  bool director_waits_ = false;            // to be on turn again
  std::optional<std::size_t> turns_left_;  // of the others then; empty: all they can use
  std::size_t turns_ = 0;                  // since time has passed
  std::vector<Thread*> runnable_;          // without the one on turn and the director
  std::vector<Thread*> waiting_;
  std::vector<const void*> begun_once_;
};

}  // namespace dfs::sim
