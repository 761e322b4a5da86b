#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/history/models.h"
#include "tests/history/texts.h"

namespace dfs::history {
namespace {

// What a name leads to; from kKnownFiles on, which file.
enum Target : std::uint32_t { kAbsent, kSomeFile, kKnownFiles };

std::string path_of(const std::string& directory, const std::string& name) { return directory + "/" + name; }

// Paths that have to be looked at together.
class Components {
 public:
  std::uint32_t add(const std::string& path) {
    const std::uint32_t number = paths_.number_of(path);
    if (number == above_.size()) above_.push_back(number);
    return number;
  }
  void join(const std::string& one, const std::string& other) { above_[top_of(add(one))] = top_of(add(other)); }
  // component -> its paths
  std::map<std::uint32_t, std::vector<std::string>> all() {
    std::map<std::uint32_t, std::vector<std::string>> components;
    for (std::uint32_t path = 0; path < above_.size(); ++path)
      components[top_of(path)].push_back(paths_.text_of(path));
    return components;
  }

 private:
  std::uint32_t top_of(std::uint32_t number) const {
    while (above_[number] != number) number = above_[number];
    return number;
  }

  Texts paths_;
  std::vector<std::uint32_t> above_;
};

// Where the state of a path is kept.
struct Cell {
  std::size_t part = 0;
  std::uint32_t number = 0;
};

// All that a history says of names.
class Names {
 public:
  explicit Names(std::span<const Operation> history) : history_(history) {
    Components components;
    for (const Operation& operation : history) {
      for (const std::string& name : operation.kind == Kind::list ? operation.values : std::vector<std::string>())
        components.add(path_of(operation.object, name));
      if (!operation.name.empty()) components.add(path_of(operation.object, operation.name));
      if (operation.kind == Kind::rename)
        components.join(path_of(operation.object, operation.name), path_of(operation.to_object, operation.to_name));
      if (operation.kind == Kind::create && operation.answer == Answer::ok) made_.insert(target_of(operation));
    }
    for (const auto& [top, paths] : components.all()) add_part(paths);
  }

  std::vector<Part> parts() {
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (history_[i].kind == Kind::list) add_listing(i);
      else if (!history_[i].name.empty()) add_step(i);
    }
    return std::move(parts_);
  }

 private:
  void add_part(const std::vector<std::string>& paths) {
    for (std::uint32_t number = 0; number < paths.size(); ++number) cells_[paths[number]] = {parts_.size(), number};
    parts_.push_back({fmt::format("{} {}", paths.size() == 1 ? "name" : "names", fmt::join(paths, ", ")),
                      State(paths.size(), kAbsent),
                      {},
                      [paths, files = files_](const State& state) { return describe(paths, *files, state); }});
  }

  void add_step(std::size_t index) {
    const Operation& operation = history_[index];
    const bool succeeds = operation.answer == Answer::ok || !operation.ended;
    const bool observing = observes(operation.kind) || !succeeds;
    if (observing && !operation.ended) return;
    const Cell cell = cells_.at(path_of(operation.object, operation.name));
    Step step{operation.begun, operation.ended.value_or(kNever), index, observing, {}};
    if (operation.kind == Kind::create)
      step.apply = succeeds ? create(cell.number, target_of(operation)) : is_there(cell.number);
    else if (!succeeds)
      step.apply = is_absent(cell.number);
    else if (operation.kind == Kind::unlink)
      step.apply = unlink(cell.number);
    else if (operation.kind == Kind::rename)
      step.apply = rename(cell.number, cells_.at(path_of(operation.to_object, operation.to_name)).number);
    else if (const std::uint32_t file = target_of(operation); file == kSomeFile)
      step.apply = is_there(cell.number);
    else if (made_.contains(file))
      step.apply = leads_to(cell.number, file);
    else
      std::tie(step.observes, step.apply) = std::pair(false, turns_out_to_be(cell.number, file));
    parts_[cell.part].steps.push_back(std::move(step));
  }

  void add_listing(std::size_t index) {
    const Operation& operation = history_[index];
    if (!operation.ended) return;
    const std::set<std::string> listed(operation.values.begin(), operation.values.end());
    const std::string prefix = path_of(operation.object, "");
    for (auto at = cells_.lower_bound(prefix); at != cells_.end() && at->first.starts_with(prefix); ++at) {
      const auto& [path, cell] = *at;
      const std::string name = path.substr(prefix.size());
      if (name.find('/') != std::string::npos) continue;  // of a directory below
      parts_[cell.part].steps.push_back({operation.begun, *operation.ended, index, true,
                                         listed.contains(name) ? is_there(cell.number) : is_absent(cell.number)});
    }
  }

  std::uint32_t target_of(const Operation& operation) {
    if (operation.value.empty() || !operation.ended) return kSomeFile;
    return kKnownFiles + files_->number_of(operation.value);
  }

  using Apply = std::function<bool(State&)>;
  static Apply is_there(std::uint32_t cell) {
    return [cell](State& state) { return state[cell] != kAbsent; };
  }
  static Apply is_absent(std::uint32_t cell) {
    return [cell](State& state) { return state[cell] == kAbsent; };
  }
  static Apply create(std::uint32_t cell, std::uint32_t file) {
    return [cell, file](State& state) { return std::exchange(state[cell], file) == kAbsent; };
  }
  static Apply unlink(std::uint32_t cell) {
    return [cell](State& state) { return std::exchange(state[cell], kAbsent) != kAbsent; };
  }
  static Apply rename(std::uint32_t from, std::uint32_t to) {
    return [from, to](State& state) {
      const std::uint32_t file = std::exchange(state[from], kAbsent);
      state[to] = file;
      return file != kAbsent;
    };
  }
  static Apply leads_to(std::uint32_t cell, std::uint32_t file) {
    return [cell, file](State& state) { return state[cell] == file; };
  }
  // A file whose maker did not tell which it is may be any that nobody else made.
  static Apply turns_out_to_be(std::uint32_t cell, std::uint32_t file) {
    return [cell, file](State& state) {
      if (state[cell] == kSomeFile) state[cell] = file;
      return state[cell] == file;
    };
  }

  static std::string describe(const std::vector<std::string>& paths, const Texts& files, const State& state) {
    std::vector<std::string> told;
    for (std::size_t cell = 0; cell < paths.size(); ++cell) {
      const std::uint32_t target = state[cell];
      told.push_back(paths[cell] + (target == kAbsent     ? " absent"
                                    : target == kSomeFile ? " there"
                                                          : " is file " + files.text_of(target - kKnownFiles)));
    }
    return fmt::format("{}", fmt::join(told, ", "));
  }

  const std::span<const Operation> history_;
  std::map<std::string, Cell> cells_;  // by path
  std::vector<Part> parts_;
  std::shared_ptr<Texts> files_ = std::make_shared<Texts>();
  std::set<std::uint32_t> made_;  // targets whose maker is known
};

}  // namespace

std::vector<Part> name_parts(std::span<const Operation> history) { return Names(history).parts(); }

}  // namespace dfs::history
