#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "tests/history/models.h"
#include "tests/history/texts.h"

namespace dfs::history {

std::vector<Part> register_parts(std::span<const Operation> history) {
  struct Register {
    std::vector<Step> steps;
    std::shared_ptr<Texts> values = std::make_shared<Texts>(std::vector<std::string>{""});
  };
  std::map<std::string, Register> registers;
  for (std::size_t i = 0; i < history.size(); ++i) {
    const Operation& operation = history[i];
    if (operation.kind != Kind::write && operation.kind != Kind::read) continue;
    const bool is_read = operation.kind == Kind::read;
    if (is_read && !operation.ended) continue;
    Register& made = registers[operation.object];
    const std::uint32_t value = made.values->number_of(operation.value);
    Step step{operation.begun, operation.ended.value_or(kNever), i, is_read, {}};
    if (is_read) {
      step.apply = [value](State& state) { return state[0] == value; };
    } else {
      step.apply = [value](State& state) {
        state[0] = value;
        return true;
      };
    }
    made.steps.push_back(std::move(step));
  }

  std::vector<Part> parts;
  for (auto& [name, made] : registers)
    parts.push_back({"register " + name, State{0}, std::move(made.steps), [values = made.values](const State& state) {
                       return fmt::format("\"{}\"", values->text_of(state[0]));
                     }});
  return parts;
}

}  // namespace dfs::history
