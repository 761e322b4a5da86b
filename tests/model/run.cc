#include "tests/model/run.h"

#include <cstring>
#include <deque>

#include <fmt/format.h>

#include "tests/model/tree.h"

namespace dfs::model {
namespace {

constexpr std::size_t kStepsTold = 25;

std::string outcome_text(const Outcome& outcome) {
  if (!outcome.complaint.empty()) return outcome.complaint;
  if (outcome.value == -1) return outcome.error == 0 ? "-1" : ::strerrorname_np(outcome.error);
  return fmt::format("{}{}", outcome.value, outcome.bytes.empty() ? "" : " with bytes");
}

// Where two texts or blocks of bytes part.
std::string parting(const std::string& one, const std::string& other) {
  std::size_t at = 0;
  while (at < one.size() && at < other.size() && one[at] == other[at]) ++at;
  const auto around = [at](const std::string& text) { return text.substr(at - std::min<std::size_t>(at, 40), 80); };
  return fmt::format("they part at {} ({} and {} bytes)\n  reference: {:?}\n  mount:     {:?}", at, one.size(),
                     other.size(), around(one), around(other));
}

// A rule that the reference breaks by itself is not held against the mount:
// ext4 misses "." or ".." when a directory outgrows its first block while it
// is listed.
std::string difference(const Outcome& reference, const Outcome& mount) {
  if (!mount.complaint.empty()) return "the mount: " + mount.complaint;
  if (reference.value != mount.value || reference.error != mount.error)
    return fmt::format("the reference answers {}, the mount {}", outcome_text(reference), outcome_text(mount));
  if (reference.bytes != mount.bytes) return parting(reference.bytes, mount.bytes);
  return {};
}

}  // namespace

RunReport run(const RunOptions& options, const Features& features, Side& reference, Side& mount) {
  RunReport report;
  std::deque<std::string> told;
  const auto failed = [&](std::uint64_t step, const std::string& what) {
    report.difference = fmt::format("seed {}, step {}: {}\nthe last steps:\n", options.seed, step, what);
    for (const std::string& line : told) report.difference += "  " + line + "\n";
    return report;
  };
  for (std::uint64_t step = 0; step < options.steps; ++step) {
    const Operation operation = operation_at(options.seed, step, options.geometry);
    const auto feature = operation.kind->needs != nullptr ? operation.kind->needs(operation) : std::nullopt;
    if (feature && !features.on_both(*feature)) continue;

    const Outcome expected = operation.kind->perform(reference, operation);
    const Outcome found = operation.kind->perform(mount, operation);
    ++report.performed;
    if (expected.value != -1) ++report.succeeded;
    told.push_back(fmt::format("{}: {} = {}", step, to_text(operation), outcome_text(expected)));
    if (told.size() > kStepsTold) told.pop_front();
    if (const std::string what = difference(expected, found); !what.empty()) return failed(step, what);

    const bool last = step + 1 == options.steps;
    if (!last && (step + 1) % options.steps_between_trees != 0) continue;
    if (const std::string what = first_difference(tree_of(reference), tree_of(mount)); !what.empty())
      return failed(step, "the trees differ: " + what);
  }
  return report;
}

}  // namespace dfs::model
