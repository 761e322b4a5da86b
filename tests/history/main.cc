// dfs-history-check: judges a history that programs wrote down.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "tests/history/check.h"
#include "tests/history/early_reads.h"

namespace dfs::history {
namespace {

// What the process ends with.
enum ExitCode { kOk = 0, kAnomaly = 1, kUndecided = 2, kUnusable = 3 };

struct CommandLine {
  std::string path;
  bool early_reads_count = true;
  SearchLimits limits;
};

Result<Judgement> judge_file(const CommandLine& line) {
  std::ifstream file(line.path);
  if (line.path != "-" && !file) return fail(Errc::not_found, line.path + " cannot be read");
  std::vector<Operation> history = TRY(read_history(line.path == "-" ? std::cin : file));
  if (!line.early_reads_count) history = without_early_reads(std::move(history));
  return judge(history, line.limits);
}

int exit_code(Judgement::Verdict verdict) {
  if (verdict == Judgement::Verdict::ok) return kOk;
  return verdict == Judgement::Verdict::anomaly ? kAnomaly : kUndecided;
}

}  // namespace
}  // namespace dfs::history

int main(int argc, char** argv) {
  using namespace dfs::history;
  CommandLine line;
  CLI::App app("Says whether one order of events explains what everybody was told. Ends with 0 if so, with 1 if\n"
               "not, with 2 if that could not be decided, with 3 if the history is none.");
  app.add_option("FILE", line.path, "JSON lines, see tests/history/operation.h; -: standard input")->required();
  app.add_flag("!--without-early-reads", line.early_reads_count,
               "Leave out what a program reads of a write of its own mount that has not returned");
  app.add_option("--tries", line.limits.tries_max, "Give up an object after so many tries (20000000)");
  CLI11_PARSE(app, argc, argv);
  const auto judged = judge_file(line);
  if (!judged) {
    std::fprintf(stderr, "dfs-history-check: %s\n", judged.error().to_string().c_str());
    return kUnusable;
  }
  std::fputs(judged->text.c_str(), stdout);
  return exit_code(judged->verdict);
}
