// What moves in a simulation, as far as its parts say: so that whoever decides
// what happens next can wait until nothing moves by itself any more.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

namespace dfs::sim {

class Activity {
 public:
  void happened() { count_.fetch_add(1, std::memory_order_release); }
  std::uint64_t count() const { return count_.load(std::memory_order_acquire); }

  // The calling thread does a program's work while one of these is there.
  class Working {
   public:
    explicit Working(Activity& activity) : activity_(activity) {
      works_ = true;
      activity_.change(1);
    }
    ~Working() {
      works_ = false;
      activity_.change(-1);
    }
    Working(const Working&) = delete;
    Working& operator=(const Working&) = delete;

   private:
    Activity& activity_;
  };
  // It waits for a server; of no effect in threads that do other work.
  class Waiting {
   public:
    explicit Waiting(Activity& activity) : activity_(activity) {
      if (works_) activity_.change(-1);
    }
    ~Waiting() {
      if (works_) activity_.change(1);
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Activity& activity_;
  };
  // Programs that work and do not wait for a server, as far as is known.
  int busy() const { return busy_.load(std::memory_order_acquire); }

 private:
  void change(int by) {
    busy_.fetch_add(by, std::memory_order_release);
    happened();
  }

  static inline thread_local bool works_ = false;
  std::atomic<std::uint64_t> count_{0};
  std::atomic<int> busy_{0};
};

}  // namespace dfs::sim
