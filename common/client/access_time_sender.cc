#include "common/client/access_time_sender.h"

#include <pthread.h>

#include <utility>

#include "common/base/log.h"

namespace dfs {
namespace {

// Between two looks while there is something noted: small against the interval.
constexpr std::chrono::milliseconds kLook{20};

}  // namespace

AccessTimeSender::AccessTimeSender(std::shared_ptr<AccessTimes> times, MetaClient& meta,
                                   const Clock& clock, Options options)
    : times_(std::move(times)), meta_(meta), clock_(clock), options_(std::move(options)) {}

AccessTimeSender::~AccessTimeSender() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void AccessTimeSender::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_all();
}

void AccessTimeSender::send_all() {
  while (std::optional<TouchArgs> message = times_->take()) send(std::move(*message));
}

void AccessTimeSender::run() {
  pthread_setname_np(pthread_self(), "access-times");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    woken_ = false;
    lock.unlock();
    options_.settled(times_->settled());
    times_->drop_settled();
    if (auto message = times_->take_due(clock_.now() - options_.interval))
      send(std::move(*message));
    const bool idle = times_->empty();
    lock.lock();
    const auto due = [this] { return woken_ || stopping_; };
    if (idle) {
      changed_.wait(lock, due);
    } else {
      changed_.wait_for(lock, kLook, due);
    }
  }
}

void AccessTimeSender::send(TouchArgs message) {
  const auto done = [times = times_](const Result<MetaResult>& answer) {
    if (!answer) log_debug("client", "access times: {}", answer.error().to_string());
    times->answered(answer.has_value());
  };
  if (!meta_.call_later(std::move(message), Caller{}, done)) times_->answered(false);
}

}  // namespace dfs
