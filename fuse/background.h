// Going into the background, and telling whoever waits how it went.
//
// The program that was started stays until the mount answers, and ends with 0
// then; if that fails it prints the one line it was told and ends with 1. The
// work is done by a child in a session of its own.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs::fuse {

// Input and output of this process lead nowhere from now on; it is in no directory
// that somebody may want to unmount.
Result<void> leave_terminal();

class Background {
 public:
  // Splits the process; returns in the child only. Before any thread is started.
  static Result<Background> enter();

  // Lets the waiting program end with success, and gives up the terminal.
  Result<void> succeeded();
  // Lets it end with this line and status 1.
  void failed(const std::string& line);

 private:
  explicit Background(UniqueFd report) : report_(std::move(report)) {}

  UniqueFd report_;
};

}  // namespace dfs::fuse
