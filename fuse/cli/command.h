// The commands of `dfs`: how each one joins the command line.
//
// A command is one file with one add_*_command(): it adds a subcommand with
// its options, its help and its examples to the parser and, when the user
// chose it, hands its work to Choice. Nothing runs while the line is parsed,
// so a wrong line has done nothing.
#pragma once

#include <functional>
#include <string>

#include "common/base/result.h"

namespace CLI {
class App;
}

namespace dfs::cli {

// The work that the command line chose; empty until a command was named.
// Threads: main's.
class Choice {
 public:
  using Work = std::function<Result<void>()>;
  void set(Work work) { work_ = std::move(work); }
  explicit operator bool() const { return static_cast<bool>(work_); }
  Result<void> run() const { return work_(); }

 private:
  Work work_;
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
