// Writes down what programs do and are told, as a history to be judged. Time is
// the number of the begin or end, in microseconds: each comes after all that came
// before it.
//
// Threads: any.
#pragma once

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "common/base/guarded.h"
#include "common/base/result.h"
#include "tests/history/operation.h"
#include "tests/sim/trace.h"

namespace dfs::sim {

class Recorder {
 public:
  // `trace` must outlive it.
  explicit Recorder(Trace& trace) : trace_(trace) {}

  history::Operation begin(std::string client, history::Kind kind, std::string object) {
    history::Operation operation;
    operation.client = std::move(client);
    operation.kind = kind;
    operation.object = std::move(object);
    operation.begun = time_.fetch_add(kMoment);
    return operation;
  }
  // It was answered.
  void end(history::Operation operation) {
    operation.ended = time_.fetch_add(kMoment);
    trace_.add(history::to_text(operation, 0));
    keep(std::move(operation));
  }
  // It failed in a way that leaves open whether it happened.
  void end_in_doubt(history::Operation operation, const Error& error) {
    time_.fetch_add(kMoment);
    trace_.add(history::to_text(operation, 0) + ": " + error.to_string());
    if (!history::observes(operation.kind)) keep(std::move(operation));
  }
  // Grows whenever something begins or ends.
  std::int64_t told() const { return time_.load(); }
  std::vector<history::Operation> take() {
    return history_.with([](auto& history) { return std::exchange(history, {}); });
  }

 private:
  void keep(history::Operation operation) {
    history_.with([&](auto& history) { history.push_back(std::move(operation)); });
  }

  static constexpr std::int64_t kMoment = 1'000;

  Trace& trace_;
  std::atomic<std::int64_t> time_{kMoment};
  Guarded<std::vector<history::Operation>> history_;
};

}  // namespace dfs::sim
