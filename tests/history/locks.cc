#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/history/models.h"
#include "tests/history/texts.h"

namespace dfs::history {
namespace {

// What a client has: the state has a cell for each.
enum Held : std::uint32_t { kNothing, kShared, kExclusive };

bool may_have(const State& state, std::uint32_t client, Held wanted) {
  for (std::uint32_t other = 0; other < state.size(); ++other)
    if (other != client && (state[other] == kExclusive || (state[other] == kShared && wanted == kExclusive)))
      return false;
  return true;
}

Step step_of(const Operation& operation, std::size_t index, std::uint32_t client) {
  const bool is_refused = operation.answer == Answer::busy && operation.ended;
  Step step{operation.begun, operation.ended.value_or(kNever), index, is_refused, {}};
  if (operation.kind == Kind::unlock) {
    step.apply = [client](State& state) {
      state[client] = kNothing;
      return true;
    };
    return step;
  }
  const Held wanted = operation.shared ? kShared : kExclusive;
  if (is_refused) {
    step.apply = [client, wanted](State& state) { return !may_have(state, client, wanted); };
  } else {
    step.apply = [client, wanted](State& state) {
      if (!may_have(state, client, wanted)) return false;
      state[client] = wanted;
      return true;
    };
  }
  return step;
}

std::string holders(const Texts& clients, const State& state) {
  std::vector<std::string> told;
  for (std::uint32_t client = 0; client < state.size(); ++client)
    if (state[client] != kNothing)
      told.push_back(clients.text_of(client) + (state[client] == kShared ? " shares it" : " has it"));
  return told.empty() ? "free" : fmt::format("{}", fmt::join(told, ", "));
}

}  // namespace

std::vector<Part> lock_parts(std::span<const Operation> history) {
  struct Lock {
    std::vector<Step> steps;
    std::shared_ptr<Texts> clients = std::make_shared<Texts>();
  };
  std::map<std::string, Lock> locks;
  for (std::size_t i = 0; i < history.size(); ++i) {
    const Operation& operation = history[i];
    if (operation.kind != Kind::lock && operation.kind != Kind::unlock) continue;
    Lock& lock = locks[operation.object];
    lock.steps.push_back(step_of(operation, i, lock.clients->number_of(operation.client)));
  }

  std::vector<Part> parts;
  for (auto& [name, lock] : locks)
    parts.push_back({"lock " + name, State(lock.clients->size(), kNothing), std::move(lock.steps),
                     [clients = lock.clients](const State& state) { return holders(*clients, state); }});
  return parts;
}

}  // namespace dfs::history
