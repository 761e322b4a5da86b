// Sends the access times that are noted, in the background: one message at a
// time, about once in an interval, or sooner when a message is full.
//
// Threads: any; one of its own, made for the first access time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/client/access_times.h"
#include "common/rpc/meta_client.h"

namespace dfs {

class AccessTimeSender {
 public:
  // `settled` moves times that the server has taken to where it is cached what
  // the server told before (AccessTimes::settled()); it runs in our thread.
  using Settled = std::function<void(const std::vector<AccessTime>&)>;
  struct Options {
    std::chrono::milliseconds interval;
    Settled settled;
  };
  // `times` is shared with answers, which may come after our end.
  AccessTimeSender(std::shared_ptr<AccessTimes> times, MetaClient& meta, const Clock& clock,
                   Options options);
  // Drops what has not been sent.
  ~AccessTimeSender();
  AccessTimeSender(const AccessTimeSender&) = delete;
  AccessTimeSender& operator=(const AccessTimeSender&) = delete;

  // Something was noted that is to be waited for (Noted::yes_and_wake).
  void wake();
  // Hands all that waits to the session, ahead of what it is asked next. Waits
  // for no answer.
  void send_all();

 private:
  void run();
  void send(TouchArgs message);

  const std::shared_ptr<AccessTimes> times_;
  MetaClient& meta_;
  const Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace dfs
