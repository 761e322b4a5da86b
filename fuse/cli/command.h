// The commands of `dfs`: how each one joins the command line.
//
// A command is one file with one add_*_command(): it adds a subcommand with
// its options, its help and its examples to the parser and, when the user
// chose it, hands its work to Choice. Nothing runs while the line is parsed,
// so a wrong line has done nothing.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "common/base/result.h"

namespace CLI {
class App;
}

namespace dfs::cli {

inline constexpr int kExitFailed = 1;

// The work that the command line chose; empty until a command was named.
// Threads: main's.
class Choice {
 public:
  using Work = std::function<Result<void>()>;
  void set(Work work) {
    set([work = std::move(work)]() -> Result<int> {
      TRY(work());
      return 0;
    }, kExitFailed);
  }
  // Work whose exit code says more than whether it was done; `failed` is that
  // of an error.
  using CodedWork = std::function<Result<int>()>;
  void set(CodedWork work, int failed) {
    work_ = std::move(work);
    failed_ = failed;
  }
  explicit operator bool() const { return static_cast<bool>(work_); }
  // The exit code.
  Result<int> run() const { return work_(); }
  int exit_code_of_failure() const { return failed_; }

 private:
  CodedWork work_;
  int failed_ = kExitFailed;
};

// `parent` and `choice` outlive the parsing and the work.
using AddCommand = void (*)(CLI::App& parent, Choice& choice);

void add_status_command(CLI::App& parent, Choice& choice);
void add_put_command(CLI::App& parent, Choice& choice);
void add_get_command(CLI::App& parent, Choice& choice);
void add_ls_command(CLI::App& parent, Choice& choice);
void add_stat_command(CLI::App& parent, Choice& choice);
void add_size_command(CLI::App& parent, Choice& choice);
void add_mkdir_command(CLI::App& parent, Choice& choice);
void add_rm_command(CLI::App& parent, Choice& choice);
void add_mount_command(CLI::App& parent, Choice& choice);
void add_policy_command(CLI::App& parent, Choice& choice);
void add_server_command(CLI::App& parent, Choice& choice);
void add_fsck_command(CLI::App& parent, Choice& choice);
void add_locate_command(CLI::App& parent, Choice& choice);
void add_meta_command(CLI::App& parent, Choice& choice);
void add_local_command(CLI::App& parent, Choice& choice);

// Under `dfs local`.
void add_local_up_command(CLI::App& parent, Choice& choice);
void add_local_down_command(CLI::App& parent, Choice& choice);
void add_local_status_command(CLI::App& parent, Choice& choice);
void add_local_control_commands(CLI::App& parent, Choice& choice);

// The end of a command's help: "Examples:" and these lines.
void add_examples(CLI::App& command, const std::string& lines);

}  // namespace dfs::cli
