// The threads that serve the kernel's requests.
//
// Waking a thread costs several times what a short request does. So a thread
// that has finished one looks for the next itself for `spin` before it sleeps,
// and it becomes that reader before it sends its reply, because the program
// that gets the reply may ask again at once. At most one thread spins; the
// others sleep in Device::wait(). Nobody spins on processors that others want
// (see SpinBudget).
//
//   somebody is the reader, or the device is watched; only the reader reads
//
// holds whenever no thread is between two lines of serve(): a request never
// waits while every thread sleeps or works.
//
// Threads are added when the last one that could read takes work, up to
// `threads_max` that work and one that only reads (see Admission), and end
// after `idle_max` without work.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "common/base/bytes.h"
#include "fuse/admission.h"
#include "fuse/device.h"
#include "fuse/keep_awake.h"
#include "fuse/request_buffer.h"
#include "fuse/spin_budget.h"

namespace dfs::fuse {

class WorkerPool {
 public:
  struct Options {
    unsigned threads_min = 2;
    Admission::Limits limits;
    std::chrono::milliseconds idle_max{5000};
    std::chrono::microseconds spin{50};
    bool keep_awake = true;
    // Lookups, opens and listings are mostly answered from what is known here.
    bool names_are_known = false;
  };
  // Serves one request. Must call about_to_reply() before it replies.
  using Handler = std::function<void(MutableBuffer request)>;
  // Hears of each request when it is read, in order; of an empty one when there is none.
  using Watcher = std::function<void(BufferView request)>;

  // `device` must outlive the pool.
  WorkerPool(const Options& options, Device& device, Handler handler, Watcher watcher);
  // Waits for the requests in work.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void start();
  // Serves no more requests than those in work. Returns at once.
  void stop();
  // Blocks until the connection to the kernel is gone or stop() is called,
  // and then until the requests in work are finished.
  void wait();

  // From within the handler, before the reply is written.
  void about_to_reply();
  // From within the handler: where the answer to a read may be put.
  static MutableBuffer payload();
  // From within the handler: if this is false and the request needs a wait, it
  // is not replied to but put off, and comes again when there may be one. What
  // mostly needs none is so answered by the reader, waking nobody.
  static bool may_wait();
  static void put_off();

  std::size_t threads() const;
  std::size_t busy() const { return admission_.busy(); }

 private:
  struct Worker {
    std::thread thread;
    RequestBuffer buffer;
    bool reader = false;         // its own thread's, as the next three
    bool may_wait = true;
    bool put_off = false;
    unsigned quick_requests = 0;  // in a row, found by spinning
    bool finished = false;        // under mutex_
  };

  void add_worker_locked();
  void reap_locked();
  void run(Worker& self);
  std::chrono::milliseconds sleep_max();
  // True if the thread, which found nothing to do, has been taken off the
  // list of running ones and must end.
  bool may_leave(Worker& self);
  void finished(Worker& self);
  // As the thread that was woken: serves until there is nothing left to read.
  void serve(Worker& self);
  void serve_request(Worker& self, std::size_t bytes);
  bool answer_at_once(Worker& self, MutableBuffer request);
  void work_on(Worker& self, std::size_t bytes);
  // Ends the request that `interrupt` is about if nobody works on it yet.
  bool end_kept_request(BufferView interrupt);
  void become_reader(Worker& self);
  void hand_over_reading(Worker& self);
  void ensure_somebody_sleeps();

  const Options options_;
  Device& device_;
  const Handler handler_;
  const Watcher watcher_;
  Admission admission_;
  KeepAwake keep_awake_;
  SpinBudget spin_budget_;

  std::atomic<bool> reader_present_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<unsigned> sleeping_{0};  // in Device::wait(), or just out of it

  mutable std::mutex mutex_;
  std::condition_variable worker_finished_;
  std::list<Worker> workers_;  // under mutex_; each stays where it is
  unsigned running_ = 0;       // under mutex_

  static thread_local Worker* current_;
};

}  // namespace dfs::fuse
