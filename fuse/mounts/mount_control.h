// How programs talk to the supervisor of a mount (fuse/supervisor): a socket named
// after the mount's device number, so that whoever sees the mount finds it, and
// nothing is left in any directory. Only root and who mounted are listened to.
//
//   asker -> supervisor   "upgrade"         go on with the program as it is on disk now
//   supervisor -> asker   "+" or "-", text  done, or why not; a line for people
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs::fuse {

inline constexpr const char* kUpgradeWord = "upgrade";

// Asks the supervisor of the mount with this device number ("0:52"). The answer's text.
//   not_found  there is none: it serves the mount itself, or is another's
//   io         what it refused, in its words; or it has not answered for `patience`
// Threads: any.
Result<std::string> ask_mount(const std::string& device, const std::string& word,
                              std::chrono::milliseconds patience);

// The supervisor's end. One asker at a time: who comes next takes the place of one
// that has said nothing yet. Nothing here waits.
// Threads: one.
class MountControl {
 public:
  static Result<MountControl> open(const std::string& device);

  // To be watched for input, and then take() called; -1 where there is nothing to
  // be watched.
  std::array<int, 2> descriptors() const;
  // What an asker wants; empty: nothing yet. Whoever may not ask is sent away.
  std::optional<std::string> take();
  // Answers whom take() heard, if he is still there.
  void answer(const Result<std::string>& outcome);

 private:
  explicit MountControl(UniqueFd door) : door_(std::move(door)) {}
  void let_in();

  UniqueFd door_;
  UniqueFd asker_;
  bool has_asked_ = false;
};

}  // namespace dfs::fuse
