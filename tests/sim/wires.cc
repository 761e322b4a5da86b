#include "tests/sim/wires.h"

namespace dfs::sim {
namespace {

const Error kNoWay{Errc::unavailable, "the connection is broken"};

}  // namespace

Wires::End Wires::add(std::string name) {
  const std::lock_guard lock(mutex_);
  ends_.push_back({.name = std::move(name)});
  return ends_.size() - 1;
}

void Wires::call(Call call) {
  {
    const std::lock_guard lock(mutex_);
    if (ends_[call.from].alive) {
      under_way_.emplace(++last_, UnderWay{.call = std::move(call)});
      return;
    }
  }
  call.failed(kNoWay);
}

std::vector<Wires::Choice> Wires::choices() const {
  const std::lock_guard lock(mutex_);
  std::vector<Choice> all;
  for (const auto& [number, each] : under_way_) {
    const Place& to = ends_[each.call.to];
    const bool is_there = to.alive && (each.state == State::asked || to.life == each.life);
    // An answer that has left may arrive after its sender's death, or be lost with it.
    if (!passes(each.call.from, each.call.to) || !is_there) {
      all.push_back({Event::break_off, number, each.call.from});
    } else if (each.state == State::asked) {
      all.push_back({Event::arrive, number, each.call.from});
    } else if (each.state == State::answered) {
      all.push_back({Event::answer, number, each.call.from});
    }
  }
  return all;
}

void Wires::happen(const Choice& choice) {
  if (choice.event == Event::arrive) {
    std::function<void(Answer)> ask;
    {
      const std::lock_guard lock(mutex_);
      UnderWay& each = under_way_.at(choice.call);
      each.state = State::at_work;
      each.life = ends_[each.call.to].life;
      ask = std::move(each.call.ask);
    }
    ask([this, number = choice.call](Completion completion) { answer(number, std::move(completion)); });
    return;
  }
  UnderWay over;
  {
    const std::lock_guard lock(mutex_);
    over = take_locked(choice.call);
  }
  if (choice.event == Event::answer) {
    over.completion();
  } else {
    over.call.failed(kNoWay);
  }
  const std::lock_guard lock(mutex_);
  ended_.notify_all();
}

void Wires::answer(std::uint64_t number, Completion completion) {
  const std::lock_guard lock(mutex_);
  const auto found = under_way_.find(number);
  if (found == under_way_.end()) return;
  found->second.state = State::answered;
  found->second.completion = std::move(completion);
}

Wires::UnderWay Wires::take_locked(std::uint64_t number) {
  UnderWay taken = std::move(under_way_.at(number));
  under_way_.erase(number);
  return taken;
}

void Wires::die(End end) {
  std::vector<UnderWay> over;
  {
    const std::lock_guard lock(mutex_);
    ends_[end].alive = false;
    ++ends_[end].life;
    std::vector<std::uint64_t> numbers;
    for (const auto& [number, each] : under_way_)
      if (each.call.from == end) numbers.push_back(number);
    for (const std::uint64_t number : numbers) over.push_back(take_locked(number));
  }
  for (const UnderWay& each : over) each.call.failed(kNoWay);
  const std::lock_guard lock(mutex_);
  ended_.notify_all();
}

void Wires::revive(End end) {
  const std::lock_guard lock(mutex_);
  ends_[end].alive = true;
}

void Wires::cut(End one, End other) {
  const std::lock_guard lock(mutex_);
  cuts_.insert(std::minmax(one, other));
}

void Wires::mend(End one, End other) {
  const std::lock_guard lock(mutex_);
  cuts_.erase(std::minmax(one, other));
}

bool Wires::is_cut(End one, End other) const {
  const std::lock_guard lock(mutex_);
  return !passes(one, other);
}

}  // namespace dfs::sim
