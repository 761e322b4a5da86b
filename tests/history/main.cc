// dfs-history-check: judges a history that programs wrote down.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "tests/history/check.h"

namespace dfs::history {
namespace {

// What the process ends with.
enum ExitCode { kOk = 0, kAnomaly = 1, kUndecided = 2, kUnusable = 3 };

Result<Judgement> judge_file(const std::string& path, const SearchLimits& limits) {
  std::ifstream file(path);
  if (path != "-" && !file) return fail(Errc::not_found, path + " cannot be read");
  const std::vector<Operation> history = TRY(read_history(path == "-" ? std::cin : file));
  return judge(history, limits);
}

int exit_code(Judgement::Verdict verdict) {
  if (verdict == Judgement::Verdict::ok) return kOk;
  return verdict == Judgement::Verdict::anomaly ? kAnomaly : kUndecided;
}

}  // namespace
}  // namespace dfs::history

int main(int argc, char** argv) {
  using namespace dfs::history;
  std::string path;
  SearchLimits limits;
  CLI::App app("Says whether one order of events explains what everybody was told. Ends with 0 if so, with 1 if\n"
               "not, with 2 if that could not be decided, with 3 if the history is none.");
  app.add_option("FILE", path, "JSON lines, see tests/history/operation.h; -: standard input")->required();
  app.add_option("--tries", limits.tries_max, "Give up an object after so many tries (20000000)");
  CLI11_PARSE(app, argc, argv);
  const auto judged = judge_file(path, limits);
  if (!judged) {
    std::fprintf(stderr, "dfs-history-check: %s\n", judged.error().to_string().c_str());
    return kUnusable;
  }
  std::fputs(judged->text.c_str(), stdout);
  return exit_code(judged->verdict);
}
