#include "tests/history/linearize.h"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace dfs::history {
namespace {

// Which of the steps under way have happened: a bit for each place that one has.
using Places = std::uint64_t;

// A way in which all that has ended can have happened.
struct Situation {
  State state;
  Places happened = 0;
};

// What may be under way without counting as it otherwise does.
struct Kinds {
  Places optional = 0;   // may never happen
  Places observing = 0;  // changes nothing
};

// Situations, without those that another one makes superfluous.
class Situations {
 public:
  // False if there is one that is as good.
  bool add(const Situation& situation, const Kinds& kinds) {
    std::vector<Places>& alike = rows_[{situation.state, situation.happened & ~(kinds.optional | kinds.observing)}];
    const Places mine = situation.happened;
    for (const Places others : alike)
      if (is_as_good(others, mine, kinds)) return false;
    std::erase_if(alike, [&](Places others) { return is_as_good(mine, others, kinds); });
    alike.push_back(mine);
    return true;
  }

  std::vector<Situation> list() const {
    std::vector<Situation> all;
    for (const auto& [key, alike] : rows_)
      for (const Places happened : alike) all.push_back({key.first, happened});
    return all;
  }

 private:
  static bool is_as_good(Places one, Places other, const Kinds& kinds) {
    return (one & ~other & kinds.optional) == 0 && (other & ~one & kinds.observing) == 0;
  }

  std::map<std::pair<State, Places>, std::vector<Places>> rows_;
};

struct Event {
  std::int64_t time = 0;
  bool is_end = false;  // at the same time begins come first: they may overlap
  std::size_t step = 0;
};

std::vector<Event> events_of(std::span<const Step> steps) {
  std::vector<Event> events;
  events.reserve(2 * steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    events.push_back({steps[i].begun, false, i});
    if (steps[i].ended != kNever) events.push_back({steps[i].ended, true, i});
  }
  std::ranges::sort(events, {}, [](const Event& event) { return std::tuple(event.time, event.is_end, event.step); });
  return events;
}

class Search {
 public:
  Search(const State& initial, std::span<const Step> steps, const SearchLimits& limits)
      : steps_(steps), limits_(limits), places_(steps.size()) {
    situations_.push_back({initial, 0});
  }

  Linearization run() {
    for (const Event& event : events_of(steps_)) {
      const bool goes_on = event.is_end ? end(event.step) : begin(event.step);
      if (!goes_on) return std::move(result_);
    }
    return std::move(result_);
  }

 private:
  static Places bit(std::size_t place) { return Places{1} << place; }

  bool begin(std::size_t step) {
    std::size_t place = 0;
    while (place < kUnderWayMax && under_way_[place]) ++place;
    if (place == kUnderWayMax) return give_up();
    under_way_[place] = step;
    places_[step] = place;
    if (steps_[step].ended == kNever) kinds_.optional |= bit(place);
    if (!steps_[step].observes) return true;
    kinds_.observing |= bit(place);
    for (Situation& situation : situations_) observe(situation);
    return true;
  }

  bool end(std::size_t step) {
    const Places mine = bit(places_[step]);
    Situations seen;
    Situations surviving;
    std::vector<Situation> open = situations_;
    while (!open.empty()) {
      Situation situation = std::move(open.back());
      open.pop_back();
      if ((situation.happened & mine) != 0) {
        situation.happened &= ~mine;
        surviving.add(situation, kinds_);
        continue;
      }
      for (std::size_t place = 0; place < kUnderWayMax; ++place) {
        if (!under_way_[place] || ((situation.happened | kinds_.observing) & bit(place)) != 0) continue;
        if (++result_.tries > limits_.tries_max) return give_up();
        Situation next = situation;
        if (!steps_[*under_way_[place]].apply(next.state)) continue;
        next.happened |= bit(place);
        observe(next);
        if (seen.add(next, kinds_)) open.push_back(std::move(next));
      }
    }
    std::vector<Situation> left = surviving.list();
    if (left.empty()) return blame(step);
    situations_ = std::move(left);
    under_way_[places_[step]].reset();
    kinds_.observing &= ~mine;
    return true;
  }

  // Has happen what can and changes nothing.
  void observe(Situation& situation) {
    for (Places left = kinds_.observing & ~situation.happened; left != 0; left &= left - 1) {
      const auto place = static_cast<std::size_t>(std::countr_zero(left));
      if (steps_[*under_way_[place]].apply(situation.state)) situation.happened |= bit(place);
    }
  }

  bool give_up() {
    result_.verdict = Linearization::Verdict::undecided;
    return false;
  }

  bool blame(std::size_t step) {
    result_.verdict = Linearization::Verdict::impossible;
    result_.culprit = step;
    std::set<State> states;
    for (const Situation& situation : situations_) states.insert(situation.state);
    result_.before.assign(states.begin(), states.end());
    return false;
  }

  const std::span<const Step> steps_;
  const SearchLimits limits_;
  std::vector<std::size_t> places_;  // of each step that has begun
  std::optional<std::size_t> under_way_[kUnderWayMax];
  Kinds kinds_;
  std::vector<Situation> situations_;
  Linearization result_;
};

}  // namespace

Linearization linearize(const State& initial, std::span<const Step> steps, const SearchLimits& limits) {
  return Search(initial, steps, limits).run();
}

}  // namespace dfs::history
