#include "tests/history/append_log.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace dfs::history {
namespace {

class LogCheck {
 public:
  LogCheck(std::span<const Operation> history, const std::vector<std::size_t>& log) : history_(history) {
    for (const std::size_t index : log) {
      const Operation& operation = history[index];
      if (operation.kind == Kind::append) appends_[operation.value] = index;
      else if (operation.ended) reads_.push_back(index);
    }
    std::ranges::sort(reads_, {}, [&](std::size_t read) { return *history[read].ended; });
  }

  std::optional<Anomaly> run() {
    for (const std::size_t read : reads_) check_records(read);
    if (!first_) check_one_sequence();
    if (!first_) check_time();
    return std::move(first_);
  }

 private:
  // An operation's place in the one order that the reads tell: records have odd
  // numbers, reads the even ones between; what no read shows comes last.
  struct Placed {
    std::size_t place = 0;
    std::size_t operation = 0;
  };
  static constexpr std::size_t kUnseen = std::numeric_limits<std::size_t>::max();

  void note(std::string sentence, std::vector<std::size_t> operations) {
    std::ranges::sort(operations, {}, [&](std::size_t index) { return end_of(index); });
    const std::int64_t time = end_of(operations.back());
    if (first_ && first_->time <= time) return;
    first_ = Anomaly{time, std::move(sentence), std::move(operations)};
  }

  std::int64_t end_of(std::size_t index) const {
    return history_[index].ended.value_or(std::numeric_limits<std::int64_t>::max());
  }

  void check_records(std::size_t read) {
    std::set<std::string> seen;
    for (const std::string& record : history_[read].values) {
      const auto append = appends_.find(record);
      if (append == appends_.end()) {
        note(fmt::format("\"{}\" is read, which nobody appended", record), {read});
      } else if (!seen.insert(record).second) {
        note(fmt::format("\"{}\" is read twice", record), {append->second, read});
      }
    }
  }

  void check_one_sequence() {
    for (const std::size_t read : reads_) {
      if (read_of_all_ == kUnseen) read_of_all_ = read;
      const bool is_longer = history_[read].values.size() > sequence().size();
      check_is_beginning(is_longer ? read_of_all_ : read, is_longer ? read : read_of_all_);
      if (is_longer) read_of_all_ = read;
    }
  }

  void check_is_beginning(std::size_t shorter, std::size_t longer) {
    const auto& some = history_[shorter].values;
    const auto& all = history_[longer].values;
    const auto [at, other] = std::ranges::mismatch(some, all);
    if (at == some.end()) return;
    note(fmt::format("record {} is read as \"{}\" and as \"{}\"", at - some.begin(), *at, *other), {shorter, longer});
  }

  const std::vector<std::string>& sequence() const {
    static const std::vector<std::string> kEmpty;
    return read_of_all_ == kUnseen ? kEmpty : history_[read_of_all_].values;
  }

  void check_time() {
    std::vector<Placed> order = in_order();
    // Of all whose place is before, the one that was begun last.
    std::size_t latest = kUnseen;
    for (auto at = order.begin(); at != order.end();) {
      const auto next = std::find_if(at, order.end(), [&](const Placed& other) { return other.place != at->place; });
      for (auto same = at; same != next; ++same)
        if (latest != kUnseen && end_of(same->operation) < history_[latest].begun) blame(latest, same->operation);
      for (auto same = at; same != next; ++same)
        if (latest == kUnseen || history_[same->operation].begun > history_[latest].begun) latest = same->operation;
      at = next;
    }
  }

  std::vector<Placed> in_order() const {
    std::vector<Placed> order;
    std::map<std::string, std::size_t> positions;
    for (const std::string& record : sequence()) positions.emplace(record, positions.size());
    for (const auto& [record, append] : appends_) {
      if (const auto position = positions.find(record); position != positions.end())
        order.push_back({2 * position->second + 1, append});
      else if (history_[append].ended)
        order.push_back({kUnseen, append});
    }
    for (const std::size_t read : reads_) order.push_back({2 * history_[read].values.size(), read});
    std::ranges::stable_sort(order, {}, &Placed::place);
    return order;
  }

  // `later` is behind `earlier` in the log, though it had ended before that began.
  void blame(std::size_t earlier, std::size_t later) {
    const bool is_read_earlier = history_[earlier].kind == Kind::read_log;
    const bool is_read_later = history_[later].kind == Kind::read_log;
    const std::string& first = history_[earlier].value;
    const std::string& second = history_[later].value;
    if (is_read_earlier && is_read_later)
      return note("records that were read before are not there any more", {earlier, later});
    if (is_read_earlier)
      return note(fmt::format("\"{}\" is not there, which had been acknowledged", second), {earlier, later});
    if (is_read_later) return note(fmt::format("\"{}\" was read before it was appended", first), {earlier, later});
    note(fmt::format("\"{}\" lies before \"{}\", which had been acknowledged before that was begun", first, second),
         {earlier, later});
  }

  const std::span<const Operation> history_;
  std::map<std::string, std::size_t> appends_;  // by record
  std::vector<std::size_t> reads_;              // as they ended
  std::size_t read_of_all_ = kUnseen;           // the longest
  std::optional<Anomaly> first_;
};

}  // namespace

std::optional<Anomaly> check_log(std::span<const Operation> history, const std::vector<std::size_t>& log) {
  return LogCheck(history, log).run();
}

}  // namespace dfs::history
