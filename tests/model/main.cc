// dfs-model: random operations on a mounted directory and on a local one, in
// step, compared. Exit code 0 if no difference was found.
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tests/model/run.h"

namespace dfs::model {
namespace {

struct CommandLine {
  std::filesystem::path reference;
  std::filesystem::path mount;
  std::uint64_t seeds = 1;
  RunOptions run;
};

Result<bool> run_seed(const CommandLine& line, const RunOptions& options) {
  const std::string name = fmt::format("model-{}", options.seed);
  for (const auto& top : {line.reference, line.mount}) std::filesystem::remove_all(top / name);
  Side reference = TRY(Side::open(Side::Role::reference, line.reference / name));
  Side mount = TRY(Side::open(Side::Role::mount, line.mount / name));
  Features features;
  features.reference = TRY(probe(reference));
  features.mount = TRY(probe(mount));
  TRY(features.check());
  if (options.seed == line.run.seed) fmt::print("{}", features.describe());

  const RunReport report = run(options, features, reference, mount);
  fmt::print("seed {}: {} operations, {} without an error\n", options.seed, report.performed, report.succeeded);
  if (report.difference.empty()) {
    for (const auto& top : {line.reference, line.mount}) std::filesystem::remove_all(top / name);
    return true;
  }
  fmt::print("{}Again: dfs-model --seed {} --steps {} --chunk {} {} {}\n", report.difference, options.seed,
             options.steps, options.geometry.chunk, line.reference.string(), line.mount.string());
  return false;
}

Result<bool> run_all(const CommandLine& line) {
  RunOptions options = line.run;
  for (std::uint64_t done = 0; done < line.seeds; ++done, ++options.seed) {
    const bool same = TRY(run_seed(line, options));
    if (!same) return false;
  }
  return true;
}

}  // namespace
}  // namespace dfs::model

int main(int argc, char** argv) {
  using namespace dfs::model;
  CommandLine line;
  CLI::App app("Random operations on MOUNT and on REFERENCE, a local directory, compared step by step.");
  app.add_option("REFERENCE", line.reference, "An empty local directory")->required();
  app.add_option("MOUNT", line.mount, "A directory of the mount to test")->required();
  app.add_option("--seed", line.run.seed, "The first seed (1)");
  app.add_option("--seeds", line.seeds, "How many seeds, one after another (1)");
  app.add_option("--steps", line.run.steps, "Operations of each seed (10000)");
  app.add_option("--chunk", line.run.geometry.chunk, "Chunk size of the mount in bytes (65536)");
  CLI11_PARSE(app, argc, argv);
  line.run.geometry.file_max = 4 * line.run.geometry.chunk + 8192;
  ::umask(022);
  std::signal(SIGPIPE, SIG_IGN);  // pipes lose their readers
  const auto same = run_all(line);
  if (!same) std::fprintf(stderr, "dfs-model: %s\n", same.error().to_string().c_str());
  return same && *same ? 0 : 1;
}
