// Chance that repeats itself: everything random about one step of a run
// follows from the run's seed and the step's number alone. So a run can be
// replayed with steps left out, and the others stay what they were.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

namespace dfs::model {

class Dice {
 public:
  Dice(std::uint64_t seed, std::uint64_t step) : state_(mix(mix(seed) ^ step)) {}

  std::uint64_t number() {
    state_ += kGolden;
    return mix(state_);
  }
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : number() % bound; }
  std::uint64_t between(std::uint64_t least, std::uint64_t most) { return least + below(most - least + 1); }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <typename T>
  T pick(std::initializer_list<T> choices) {
    return choices.begin()[below(choices.size())];
  }

 private:
  static constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
  static std::uint64_t mix(std::uint64_t value) {  // splitmix64
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
  }

  std::uint64_t state_;
};

// `count` bytes that no other seed gives; never zero, so that a hole shows.
std::string pattern(std::uint64_t seed, std::size_t count);

}  // namespace dfs::model
