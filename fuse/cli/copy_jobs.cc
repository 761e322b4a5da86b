#include "fuse/cli/copy_jobs.h"

#include <fmt/format.h>

#include "fuse/cli/output.h"

namespace dfs::cli {

CopyJobs::CopyJobs(std::size_t threads, Progress& progress)
    : progress_(progress),
      executor_({.name = "copy", .threads = threads, .queue_max = 4 * threads}) {}

void CopyJobs::add(std::string name, std::function<Result<void>()> job) {
  const auto task = [this, name, job] { run(name, job); };
  if (!executor_.submit(task)) task();
}

void CopyJobs::run(const std::string& name, const std::function<Result<void>()>& job) {
  const auto done = job();
  if (!done) return failed(name, done.error());
  progress_.add_file();
}

void CopyJobs::failed(const std::string& name, const Error& error) {
  failures_.fetch_add(1);
  progress_.complain("dfs: " + escaped(name) + ": " + one_line(error.to_string()));
}

Result<void> CopyJobs::finish() {
  executor_.stop();
  progress_.finish();
  const std::uint64_t failures = failures_.load();
  if (failures == 0) return {};
  return fail(Errc::io, fmt::format("{} could not be copied", failures == 1 ? "one thing" : fmt::format("{} things", failures)));
}

}  // namespace dfs::cli
