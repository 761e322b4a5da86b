// The files of a copy, several at a time.
//
// Small files spend their time waiting for answers, so that some are copied
// beside each other. A file that fails is reported by its name and does not
// stop the others.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "common/base/executor.h"
#include "common/base/result.h"
#include "fuse/cli/progress.h"

namespace dfs::cli {

// Threads: add(), failed() and finish() from one; jobs run on several.
class CopyJobs {
 public:
  // `progress` must outlive the jobs.
  CopyJobs(std::size_t threads, Progress& progress);

  // Runs `job` on another thread, or here when enough are waiting.
  void add(std::string name, std::function<Result<void>()> job);
  // Counts and reports something that failed outside a job.
  void failed(const std::string& name, const Error& error);
  // Waits for all; `io` with the count if any failed.
  Result<void> finish();

 private:
  void run(const std::string& name, const std::function<Result<void>()>& job);

  Progress& progress_;
  std::atomic<std::uint64_t> failures_{0};
  Executor executor_;
};

}  // namespace dfs::cli
