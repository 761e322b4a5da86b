// dfs mount: what is mounted on this machine.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "fuse/cli/command.h"
#include "fuse/cli/output.h"
#include "fuse/mounts/mount_control.h"
#include "fuse/mounts/mount_table.h"

namespace dfs::cli {

namespace {

// A new process may have to wait for servers that are away.
constexpr std::chrono::seconds kPatience{60};

Result<fuse::MountedHere> find_mount(const std::string& name) {
  std::error_code error;
  const auto directory = std::filesystem::absolute(name, error).lexically_normal();
  // "/mnt/dfs/" is "/mnt/dfs"
  const auto mounted =
      fuse::mounted_at(directory.has_filename() ? directory : directory.parent_path());
  if (!mounted || mounted->type != fuse::kMountType)
    return fail(Errc::not_found, fmt::format("no dfs is mounted at {}; `dfs mount list` shows where", name));
  return *mounted;
}

// Ours; of several on one directory the topmost.
std::vector<fuse::MountedHere> mounts_of_ours() {
  std::vector<fuse::MountedHere> ours;
  for (fuse::MountedHere& each : fuse::mounts()) {
    const auto covered = std::ranges::find(ours, each.directory, &fuse::MountedHere::directory);
    if (covered != ours.end()) ours.erase(covered);
    if (each.type == fuse::kMountType) ours.push_back(std::move(each));
  }
  return ours;
}

Result<void> list() {
  Table rows({{"DIRECTORY"}, {"OF"}, {"DEVICE"}});
  for (const fuse::MountedHere& each : mounts_of_ours())
    rows.add({escaped(each.directory.native()), escaped(each.source), each.device});
  print(rows.empty() ? "no dfs is mounted here\n" : rows.text());
  return {};
}

// All are asked, whatever becomes of one.
Result<void> upgrade(const std::vector<std::string>& names) {
  std::vector<fuse::MountedHere> chosen;
  for (const std::string& name : names) {
    fuse::MountedHere mounted = TRY(find_mount(name));
    chosen.push_back(std::move(mounted));
  }
  if (names.empty()) chosen = mounts_of_ours();
  if (chosen.empty()) return fail(Errc::not_found, "no dfs is mounted here");

  std::string complaints;
  for (const fuse::MountedHere& each : chosen) {
    const auto answer = fuse::ask_mount(each.device, fuse::kUpgradeWord, kPatience);
    const std::string place = escaped(each.directory.native());
    if (answer)
      print_line(fmt::format("{} {}", place, *answer));
    else
      complaints += fmt::format("{}{}: {}", complaints.empty() ? "" : "\n", place, answer.error().text);
  }
  if (!complaints.empty()) return fail(Errc::io, complaints);
  return {};
}

}  // namespace

void add_mount_command(CLI::App& parent, Choice& choice) {
  CLI::App* mount = parent.add_subcommand("mount", "Look after what is mounted on this machine");
  mount->require_subcommand(1);
  add_examples(*mount, "  dfs mount list\n  dfs mount upgrade /mnt/dfs");

  CLI::App* listing = mount->add_subcommand("list", "Where a dfs is mounted, and which");
  listing->callback([&choice] { choice.set(list); });

  const auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* upgrading = mount->add_subcommand(
      "upgrade", "Go on with the program as it is on disk now; programs wait a moment and keep "
                 "what they have open");
  upgrading->add_option("DIRECTORY", *names, "Where it is mounted (default: all on this machine)");
  add_examples(*upgrading, "  apt install dfs-mount && dfs mount upgrade");
  upgrading->callback([names, &choice] { choice.set([names] { return upgrade(*names); }); });
}

}  // namespace dfs::cli
