#include "fuse/cli/local/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
extern "C" {  // glibc 2.36 forgot it in this header
#include <sys/pidfd.h>
}

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "common/base/process.h"

namespace dfs::cli {

namespace {

constexpr int kReadyFd = 3;

struct StatLine {
  char state = '?';
  std::uint64_t start_ticks = 0;
};

// /proc/PID/stat: "pid (name) state ...". The name may hold anything, so
// fields are counted from the last parenthesis.
std::optional<StatLine> read_stat(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  if (!std::getline(file, text)) return std::nullopt;
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;

  std::istringstream fields(text.substr(name_end + 1));
  StatLine line;
  fields >> line.state;
  constexpr int kStateField = 3;
  constexpr int kStartField = 22;
  std::string skipped;
  for (int field = kStateField + 1; field < kStartField; ++field) fields >> skipped;
  fields >> line.start_ticks;
  if (!fields) return std::nullopt;
  return line;
}

Result<ProcessIdentity> identify(pid_t pid) {
  const auto line = read_stat(pid);
  if (!line) return fail(Errc::not_found, fmt::format("process {} is gone", pid));
  return ProcessIdentity{pid, line->start_ticks, machine_id()};
}

// True when `descriptor` became readable (or its other end closed) in time.
bool wait_readable(int descriptor, SteadyTime deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        deadline - SystemClock::instance().now());
    pollfd entry{descriptor, POLLIN, 0};
    const int wait_ms = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
    const int count = ::poll(&entry, 1, wait_ms);
    if (count > 0) return true;
    if (count == 0) return false;
    if (errno != EINTR) return false;
  }
}

// Our own children stay zombies until somebody asks for their status.
void reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) < 0 && errno == EINTR) {
  }
}

class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  posix_spawn_file_actions_t* actions() { return &actions_; }
  posix_spawnattr_t* attributes() { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// A new session, every signal as it is by default, no descriptor of ours but `ready`.
int spawn(const LaunchArgs& args, int ready, pid_t& pid) {
  SpawnPlan plan;
  constexpr mode_t kFileMode = 0644;
  posix_spawn_file_actions_addopen(plan.actions(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(plan.actions(), STDOUT_FILENO, args.output_file.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, kFileMode);
  posix_spawn_file_actions_adddup2(plan.actions(), STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(plan.actions(), ready, kReadyFd);
  posix_spawn_file_actions_addclosefrom_np(plan.actions(), kReadyFd + 1);

  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(plan.attributes(), &signals);
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(plan.attributes(), &signals);
  posix_spawnattr_setflags(plan.attributes(), POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                  POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> words = args.argv;
  words.emplace_back("--ready-fd");
  words.push_back(std::to_string(kReadyFd));
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return ::posix_spawn(&pid, words.front().c_str(), plan.actions(), plan.attributes(),
                       pointers.data(), environ);
}

}  // namespace

bool is_alive(const ProcessIdentity& process) {
  if (process.pid <= 0 || process.boot != machine_id()) return false;
  const auto line = read_stat(process.pid);
  return line && line->start_ticks == process.start_ticks && line->state != 'Z' &&
         line->state != 'X';
}

std::vector<ProcessIdentity> children_of(const ProcessIdentity& process) {
  std::vector<ProcessIdentity> children;
  std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", process.pid));
  for (pid_t pid = 0; list >> pid;)
    if (const auto line = read_stat(pid)) children.push_back({pid, line->start_ticks, process.boot});
  return is_alive(process) ? children : std::vector<ProcessIdentity>{};
}

Result<void> signal_and_wait(const ProcessIdentity& process, int signal,
                             std::chrono::milliseconds limit) {
  if (!is_alive(process)) return {};
  // From here on the descriptor names the process, whatever happens to its
  // number; it was opened before the identity is checked once more.
  const UniqueFd handle(::pidfd_open(process.pid, 0));
  if (!handle) {
    if (errno == ESRCH) return {};
    return fail_errno(errno, fmt::format("pidfd_open {}", process.pid));
  }
  if (!is_alive(process)) return {};
  if (::pidfd_send_signal(handle.get(), signal, nullptr, 0) != 0 && errno != ESRCH)
    return fail_errno(errno, fmt::format("signal process {}", process.pid));
  if (!wait_readable(handle.get(), SystemClock::instance().now() + limit))
    return fail(Errc::timed_out, fmt::format("process {} is still there after {} s", process.pid,
                                             std::chrono::ceil<std::chrono::seconds>(limit).count()));
  reap(process.pid);
  return {};
}

Result<Launched> Launched::start(const LaunchArgs& args) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);

  pid_t pid = 0;
  const int error = spawn(args, write_end.get(), pid);
  if (error != 0) return fail_errno(error, "start " + args.argv.front());
  // A child of ours stays visible, if only as a zombie, until it is waited for.
  ProcessIdentity process = TRY(identify(pid));
  return Launched(std::move(process), std::move(read_end));
}

Result<void> Launched::wait_ready(SteadyTime deadline) {
  constexpr std::string_view kReady = "ready\n";
  std::string said;
  while (said.size() < kReady.size()) {
    if (!wait_readable(ready_.get(), deadline))
      return fail(Errc::timed_out, "did not become ready in time");
    char bytes[16];
    const ssize_t count = ::read(ready_.get(), bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail(Errc::unavailable, how_it_ended());
    said.append(bytes, static_cast<std::size_t>(count));
  }
  if (said != kReady) return fail(Errc::bad_message, "did not say that it is ready");
  return {};
}

std::string Launched::how_it_ended() const {
  // The descriptor closes a moment before the process is gone.
  const UniqueFd handle(::pidfd_open(process_.pid, 0));
  constexpr std::chrono::seconds kGrace{2};
  if (!handle || !wait_readable(handle.get(), SystemClock::instance().now() + kGrace))
    return "closed its ready descriptor without a word";
  int status = 0;
  if (::waitpid(process_.pid, &status, WNOHANG) != process_.pid) return "ended before it was ready";
  if (WIFSIGNALED(status))
    return fmt::format("was ended by signal {} before it was ready", WTERMSIG(status));
  return fmt::format("ended with status {} before it was ready", WEXITSTATUS(status));
}

std::vector<std::string> last_lines(const std::filesystem::path& file, std::size_t lines_max) {
  constexpr std::streamoff kTailBytes = 64 * 1024;
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) return {};
  const std::streamoff size = stream.tellg();
  stream.seekg(std::max<std::streamoff>(0, size - kTailBytes));

  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(std::move(line));
  if (lines.size() > lines_max)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(lines_max));
  return lines;
}

std::string shell_quoted(const std::vector<std::string>& argv) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,+@%";
  std::string out;
  for (const std::string& word : argv) {
    if (!out.empty()) out += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      out += word;
      continue;
    }
    out += '\'';
    for (const char byte : word) {
      if (byte == '\'') {
        out += "'\\''";
      } else {
        out += byte;
      }
    }
    out += '\'';
  }
  return out;
}

}  // namespace dfs::cli
