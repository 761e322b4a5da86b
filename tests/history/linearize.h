// Whether what several clients were told of one object can be explained by one
// order: as if each operation had happened at once, at some moment between its
// begin and its end. (M. Herlihy, J. Wing: "Linearizability: A Correctness
// Condition for Concurrent Objects", 1990. Their locality theorem is why each
// object may be looked at alone.)
//
// The search goes through begins and ends in the order of time and keeps every
// situation that the object may be in: its state, and which of the operations
// under way have happened already. When one ends, each situation must have it:
// where it has not happened, it happens now, after any of the others under way.
// Nothing else need be tried (G. Lowe: "Testing for Linearizability", 2017: just
// in time); that situations are remembered goes back to J. Wing, C. Gong:
// "Testing and Verifying Concurrent Objects", 1993. The search stops at the first end
// that no situation survives: all before it has an explanation.
//
// What changes nothing happens as soon as it can: that never hinders anything.
// What may never have happened is not asked for. So of two situations that are
// otherwise alike one with fewer of the latter and more of the former is as good
// as both.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace dfs::history {

// What an object is like; what each cell means is the model's (models.h).
using State = std::vector<std::uint32_t>;

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

struct Step {
  std::int64_t begun = 0;
  std::int64_t ended = kNever;  // kNever: it may have happened, later or not at all
  std::size_t operation = 0;    // for whoever made the step
  bool observes = false;        // it leaves the state as it is; then it has ended
  // What it does to an object in this state; false if there it can not have been
  // answered as it was, and what a step that changes something leaves is of no
  // meaning.
  std::function<bool(State&)> apply;
};

struct SearchLimits {
  // Steps tried; beyond, the search gives up.
  std::uint64_t tries_max = 20'000'000;
};
// More operations than this at a time are too many, those of unknown outcome included.
inline constexpr std::size_t kUnderWayMax = 64;

struct Linearization {
  enum class Verdict { found, impossible, undecided };
  Verdict verdict = Verdict::found;
  std::size_t culprit = 0;     // impossible: the step, by index, whose end nothing survives
  std::vector<State> before;   // impossible: what the object may have been like
  std::uint64_t tries = 0;
};

Linearization linearize(const State& initial, std::span<const Step> steps, const SearchLimits& limits);

}  // namespace dfs::history
