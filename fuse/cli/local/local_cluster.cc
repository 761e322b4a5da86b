#include "fuse/cli/local/local_cluster.h"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <fmt/format.h>

#include "fuse/cli/local/cluster_plan.h"
#include "fuse/cli/local/mount_point.h"
#include "fuse/mounts/mount_table.h"

namespace dfs::cli {

namespace {

constexpr std::chrono::seconds kKillLimit{20};
// A killed mount that is still there waits for an answer that nobody gives.
constexpr std::chrono::seconds kCutOffAfter{2};
constexpr std::size_t kLogLinesShown = 8;

Result<void> make_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail_errno(error.value(), "make directory " + path.string());
  return {};
}

// A directory that holds other things does not become a cluster's by mistake;
// places prepared for the data are welcome.
Result<void> check_fresh(const ClusterState& state) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(state.directory, error)) {
    const std::string name = entry.path().filename().string();
    if (name == "LOCK" || name == "lost+found" || state.find(name) != nullptr) continue;
    return fail(Errc::invalid, fmt::format("{} holds other things ({}): choose an empty directory",
                                           state.directory.string(), name));
  }
  if (error) return fail_errno(error.value(), "list " + state.directory.string());
  return {};
}

Result<void> kill_and_wait(const ProcessIdentity& process, const ClusterProcess& of) {
  if (of.role != Role::mount) return signal_and_wait(process, SIGKILL, kKillLimit);
  const auto mounted = fuse::mounted_at(of.place);
  const Result<void> killed = signal_and_wait(process, SIGKILL, kCutOffAfter);
  if (killed || killed.error().code != Errc::timed_out || !mounted) return killed;
  fuse::cut_off(*mounted);
  return signal_and_wait(process, SIGKILL, kKillLimit);
}

// Of a disk that is mounted there, what it holds.
Result<void> remove_tree(const std::filesystem::path& path) {
  std::error_code error;
  if (fuse::mounted_at(path)) {
    std::vector<std::filesystem::path> entries;
    for (const auto& entry : std::filesystem::directory_iterator(path, error))
      entries.push_back(entry.path());
    for (const auto& entry : entries) {
      if (!error) std::filesystem::remove_all(entry, error);
    }
  } else {
    std::filesystem::remove_all(path, error);
  }
  if (error) return fail_errno(error.value(), "remove " + path.string());
  return {};
}

// The mount point exists, is free, and nothing dead hangs there.
Result<void> prepare_mount_point(ClusterProcess& mount) {
  TRY(detach_dead_mount(mount.place));
  std::error_code error;
  const auto status = std::filesystem::status(mount.place, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    TRY(make_directory(mount.place));
    mount.made_mount_point = true;
    return {};
  }
  if (error) return fail_errno(error.value(), "look at " + mount.place.string());
  if (!std::filesystem::is_directory(status))
    return fail(Errc::not_directory, mount.place.string() + " is not a directory");
  return {};
}

}  // namespace

Result<LocalCluster> LocalCluster::create(const std::filesystem::path& directory,
                                          const ClusterWishes& wishes, Say say) {
  const std::filesystem::path settled = TRY(settled_path(directory));
  auto existing = load_cluster(settled);
  if (!existing && existing.error().code != Errc::not_found) return fail(existing.error());
  const bool is_new = !existing;
  if (is_new) {
    // Planned before anything is touched: a wrong wish leaves nothing behind.
    ClusterState planned = TRY(plan_cluster(settled, wishes));
    existing = std::move(planned);
    TRY(make_directory(settled));
    TRY(check_fresh(*existing));
  }
  DirectoryLock lock = TRY(DirectoryLock::acquire(settled));
  if (is_new) {
    TRY(make_directory(settled / "log"));
  } else {
    ClusterState reloaded = TRY(load_cluster(settled));  // under the lock now
    TRY(extend_plan(reloaded, wishes));
    existing = std::move(reloaded);
  }
  TRY(save_cluster(*existing));
  return LocalCluster(std::move(lock), *std::move(existing), std::move(say));
}

Result<LocalCluster> LocalCluster::open(const std::filesystem::path& directory, Say say) {
  const std::filesystem::path settled = TRY(settled_path(directory));
  TRY(load_cluster(settled));  // takes no lock in a directory that is not ours
  DirectoryLock lock = TRY(DirectoryLock::acquire(settled));
  ClusterState state = TRY(load_cluster(settled));
  return LocalCluster(std::move(lock), std::move(state), std::move(say));
}

Result<Launched> LocalCluster::launch(ClusterProcess& process) {
  if (process.role == Role::mount) {
    TRY(prepare_mount_point(process));
  } else {
    TRY(make_directory(process.place));
  }
  process.argv = TRY(command_line(state_, process));
  Launched launched = TRY(Launched::start({process.argv, state_.output_file(process)}));
  process.process = launched.process();
  TRY(save_cluster(state_));  // at once: it must be found even if we die now
  return launched;
}

Result<void> LocalCluster::start_these(const std::vector<ClusterProcess*>& wanted,
                                       std::chrono::milliseconds limit) {
  const SteadyTime deadline = SystemClock::instance().now() + limit;
  std::vector<std::pair<ClusterProcess*, Launched>> started;
  Result<void> done;
  for (ClusterProcess* process : wanted) {
    auto launched = launch(*process);
    if (!launched) {
      done = not_started(*process, launched.error());
      break;
    }
    started.emplace_back(process, *std::move(launched));
  }
  for (auto& [process, launched] : started) {
    if (!done) break;
    if (const auto ready = launched.wait_ready(deadline); !ready) {
      done = not_started(*process, ready.error());
      break;
    }
    say_(fmt::format("{} runs (pid {}) {}", process->name, process->process.pid,
                     process->role == Role::mount ? process->place.string() : process->address));
  }
  if (done) return done;
  std::ranges::reverse(started);
  for (auto& [process, launched] : started) {
    if (const auto stopped = stop_one(*process, kKillLimit); !stopped)
      say_(fmt::format("{} could not be stopped again: {}", process->name, stopped.error().to_string()));
  }
  return done;
}

tl::unexpected<Error> LocalCluster::not_started(const ClusterProcess& process, const Error& why) const {
  std::string text = fmt::format("{}: {}", process.name, why.text);
  // What it printed is its own one line about what is wrong; its log has the story.
  const auto printed = last_lines(state_.output_file(process), 1);
  if (!printed.empty()) text += ": " + printed.front();
  const auto log = last_lines(state_.log_file(process), kLogLinesShown);
  if (!log.empty()) {
    say_(fmt::format("the end of {}:", state_.log_file(process).string()));
    for (const std::string& line : log) say_("  " + line);
  }
  return fail(why.code, std::move(text));
}

Result<void> LocalCluster::start_all(std::chrono::milliseconds limit) {
  // Each role needs the one before it.
  std::vector<ClusterProcess*> started;
  for (const Role role : {Role::meta, Role::storage, Role::mount}) {
    std::vector<ClusterProcess*> missing;
    for (ClusterProcess& process : state_.processes) {
      if (process.role != role) continue;
      if (is_alive(process.process)) {
        say_(fmt::format("{} runs already (pid {})", process.name, process.process.pid));
      } else {
        missing.push_back(&process);
      }
    }
    const auto done = start_these(missing, limit);
    if (done) {
      started.insert(started.end(), missing.begin(), missing.end());
      continue;
    }
    std::ranges::reverse(started);
    for (ClusterProcess* process : started) {
      if (const auto stopped = stop_one(*process, kKillLimit); !stopped)
        say_(fmt::format("{} could not be stopped again: {}", process->name,
                         stopped.error().to_string()));
    }
    return done;
  }
  return {};
}

Result<void> LocalCluster::stop_one(ClusterProcess& process, std::chrono::milliseconds limit) {
  const bool was_alive = is_alive(process.process);
  if (const auto stopped = signal_and_wait(process.process, SIGTERM, limit); !stopped) {
    return fail(stopped.error().code,
                fmt::format("{} did not stop: {}; `dfs local kill --dir {} {}` ends it", process.name,
                            stopped.error().text, state_.directory.string(), process.name));
  }
  if (process.role == Role::mount) TRY(detach_dead_mount(process.place));
  say_(process.name + (was_alive ? " stopped" : " was not running"));
  return {};
}

Result<void> LocalCluster::stop_all(std::chrono::milliseconds limit) {
  for (auto process = state_.processes.rbegin(); process != state_.processes.rend(); ++process)
    TRY(stop_one(*process, limit));
  return {};
}

Result<void> LocalCluster::wipe() {
  for (const ClusterProcess& process : state_.processes) {
    if (is_alive(process.process))
      return fail(Errc::busy, process.name + " still runs: nothing was removed");
  }
  for (const ClusterProcess& process : state_.processes) {
    if (process.role != Role::mount) {
      const bool is_ours = process.place.parent_path() == state_.directory;
      if (!is_ours)
        return fail(Errc::corrupt, fmt::format("{} lies outside {}: nothing more was removed",
                                               process.place.string(), state_.directory.string()));
      TRY(remove_tree(process.place));
      continue;
    }
    std::error_code not_empty;  // what else lies there stays
    if (process.made_mount_point) std::filesystem::remove(process.place, not_empty);
  }
  TRY(remove_tree(state_.directory / "log"));
  TRY(remove_tree(state_file(state_.directory)));
  TRY(remove_tree(state_.directory / "LOCK"));
  std::error_code not_empty;
  std::filesystem::remove(state_.directory, not_empty);
  return {};
}

Result<ClusterProcess*> LocalCluster::named(const std::string& name) {
  if (ClusterProcess* process = state_.find(name)) return process;
  if (name.starts_with('/')) {
    const std::filesystem::path place = TRY(settled_path(name));
    const auto mount = std::ranges::find(state_.processes, place, &ClusterProcess::place);
    if (mount != state_.processes.end()) return &*mount;
  }
  std::string names;
  for (const ClusterProcess& process : state_.processes)
    names += (names.empty() ? "" : ", ") + process.name;
  return fail(Errc::not_found, fmt::format("there is no process {} in {}: it has {}", name,
                                           state_.directory.string(), names));
}

Result<void> LocalCluster::start(const std::string& name, std::chrono::milliseconds limit) {
  ClusterProcess* process = TRY(named(name));
  if (is_alive(process->process)) {
    say_(fmt::format("{} runs already (pid {})", process->name, process->process.pid));
    return {};
  }
  return start_these({process}, limit);
}

Result<void> LocalCluster::stop(const std::string& name, std::chrono::milliseconds limit) {
  ClusterProcess* process = TRY(named(name));
  return stop_one(*process, limit);
}

Result<void> LocalCluster::kill(const std::string& name) {
  ClusterProcess* process = TRY(named(name));
  if (!is_alive(process->process)) {
    say_(process->name + " was not running");
    return {};
  }
  // A mount is two processes, of which either goes on without the other.
  std::vector<ProcessIdentity> all{process->process};
  for (ProcessIdentity& child : children_of(process->process)) all.push_back(std::move(child));
  for (const ProcessIdentity& each : all) TRY(kill_and_wait(each, *process));
  say_(process->name + " killed");
  return {};
}

}  // namespace dfs::cli
