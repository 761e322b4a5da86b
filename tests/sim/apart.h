// Work in a process of its own: nothing of it stays behind, no thread, no count, no
// filled cache, and nothing that it breaks is anybody else's.
//
// Threads: one, in a process that has no other.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace dfs::sim {

struct Ended {
  std::optional<std::string> told;  // empty: it ended without a word
  std::string how;                  // then: "by signal 6"
};

struct Surrounds {
  std::chrono::seconds longest;  // then it is ended
  // Where what it writes to standard output and error goes; empty: where ours goes.
  std::filesystem::path output{};
  std::filesystem::path errors{};
};

// `end` tells something and ends the process at once; work that returns has told nothing.
// It has one CPU: of its threads only one runs at a time.
using WorkApart = std::function<void(const std::function<void(const std::string& told)>& end)>;
Ended run_apart(const Surrounds& surrounds, const WorkApart& work);

}  // namespace dfs::sim
