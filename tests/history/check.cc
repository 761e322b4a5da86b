#include "tests/history/check.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tests/history/append_log.h"
#include "tests/history/models.h"

namespace dfs::history {
namespace {

// Of what changed the object before an anomaly, this much is told.
constexpr std::size_t kChangesTold = 12;
constexpr std::size_t kStatesTold = 6;

// What may be spent on the text alone, once something is wrong.
constexpr SearchLimits kLimitsForTelling{.tries_max = 2'000'000};
constexpr std::size_t kStepsForTelling = 2'000'000;

Result<void> check_clients(std::span<const Operation> history) {
  std::map<std::string, std::vector<const Operation*>> by_client;
  for (const Operation& operation : history) by_client[operation.client].push_back(&operation);
  for (auto& [client, operations] : by_client) {
    std::ranges::sort(operations, {}, &Operation::begun);
    for (std::size_t i = 1; i < operations.size(); ++i)
      if (operations[i - 1]->ended && *operations[i - 1]->ended > operations[i]->begun)
        return fail(Errc::invalid, fmt::format("{} does two things at once:\n  {}\n  {}", client,
                                               to_text(*operations[i - 1], 0), to_text(*operations[i], 0)));
  }
  return {};
}

Result<std::map<std::string, std::vector<std::size_t>>> logs_of(std::span<const Operation> history) {
  std::map<std::string, std::vector<std::size_t>> logs;
  std::set<std::pair<std::string, std::string>> records;
  for (std::size_t i = 0; i < history.size(); ++i) {
    const Operation& operation = history[i];
    if (operation.kind != Kind::append && operation.kind != Kind::read_log) continue;
    if (operation.kind == Kind::append && !records.emplace(operation.object, operation.value).second)
      return fail(Errc::invalid, fmt::format("\"{}\" is appended to {} twice", operation.value, operation.object));
    logs[operation.object].push_back(i);
  }
  return logs;
}

// Leaves out what is not needed for `culprit` to stay without an explanation:
// what began, and the ends that came, after its end, and answers that change nothing.
std::vector<Step> essence(const Part& part, std::size_t culprit) {
  const std::int64_t end = part.steps[culprit].ended;
  std::vector<Step> kept;
  for (std::size_t i = 0; i < part.steps.size(); ++i)
    if (i != culprit && part.steps[i].begun <= end) {
      kept.push_back(part.steps[i]);
      if (kept.back().ended > end) kept.back().ended = kNever;
    }
  kept.push_back(part.steps[culprit]);  // the last: what is left out comes before it

  std::size_t spent = 0;
  for (std::size_t length = kept.size() / 2; length > 0; length /= 2) {
    for (std::size_t from = 0; from + 1 < kept.size() && spent < kStepsForTelling;) {
      const auto begin = kept.begin() + static_cast<std::ptrdiff_t>(from);
      const auto end_of_some = begin + static_cast<std::ptrdiff_t>(std::min(length, kept.size() - 1 - from));
      from += length;
      if (std::none_of(begin, end_of_some, [](const Step& step) { return step.observes; })) continue;
      std::vector<Step> fewer(kept.begin(), begin);
      std::copy_if(begin, end_of_some, std::back_inserter(fewer), [](const Step& step) { return !step.observes; });
      const std::size_t next = fewer.size();
      fewer.insert(fewer.end(), end_of_some, kept.end());
      spent += fewer.size();
      if (linearize(part.initial, fewer, kLimitsForTelling).verdict != Linearization::Verdict::impossible) continue;
      kept = std::move(fewer);
      from = next;
    }
  }
  return kept;
}

Anomaly explain(const Part& part, const Linearization& found) {
  const Step& culprit = part.steps[found.culprit];
  Anomaly anomaly{culprit.ended, fmt::format("{}: no order explains the last of these", part.name), {}};
  std::vector<Step> steps = essence(part, found.culprit);
  steps.pop_back();
  std::ranges::stable_sort(steps, {}, &Step::begun);
  if (const std::size_t count = steps.size(); count > kChangesTold)
    steps.erase(steps.begin(), steps.end() - static_cast<std::ptrdiff_t>(kChangesTold));
  for (const Step& step : steps) anomaly.operations.push_back(step.operation);
  anomaly.operations.push_back(culprit.operation);
  for (std::size_t i = 0; i < std::min(found.before.size(), kStatesTold); ++i)
    anomaly.sentence += fmt::format("{}{}", i == 0 ? "; without it and what was under way: " : "; or ",
                                    part.describe(found.before[i]));
  return anomaly;
}

std::string to_text(const Anomaly& anomaly, std::span<const Operation> history) {
  const std::int64_t zero = std::ranges::min_element(history, {}, &Operation::begun)->begun;
  std::string text = anomaly.sentence + "\n";
  for (const std::size_t index : anomaly.operations) text += "  " + to_text(history[index], zero) + "\n";
  return text;
}

}  // namespace

Result<Judgement> judge(std::span<const Operation> history, const SearchLimits& limits) {
  TRY(check_clients(history));
  const auto logs = TRY(logs_of(history));
  std::vector<Anomaly> anomalies;
  std::string undecided;
  for (const auto& [name, log] : logs) {
    std::optional<Anomaly> anomaly = check_log(history, log);
    if (!anomaly) continue;
    anomaly->sentence = fmt::format("log {}: {}", name, anomaly->sentence);
    anomalies.push_back(*std::move(anomaly));
  }
  std::size_t objects = logs.size();
  for (const auto& parts_of : {register_parts, name_parts, lock_parts}) {
    for (const Part& part : parts_of(history)) {
      ++objects;
      const Linearization found = linearize(part.initial, part.steps, limits);
      if (found.verdict == Linearization::Verdict::impossible) anomalies.push_back(explain(part, found));
      if (found.verdict == Linearization::Verdict::undecided)
        undecided += fmt::format("undecided: {}, with {} operations, after {} tries\n", part.name, part.steps.size(),
                                 found.tries);
    }
  }
  if (!anomalies.empty())
    return Judgement{Judgement::Verdict::anomaly,
                     to_text(*std::ranges::min_element(anomalies, {}, &Anomaly::time), history)};
  if (!undecided.empty()) return Judgement{Judgement::Verdict::undecided, std::move(undecided)};
  return Judgement{Judgement::Verdict::ok,
                   fmt::format("ok: {} operations on {} objects\n", history.size(), objects)};
}

}  // namespace dfs::history
