#include "fuse/supervisor/supervisor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <thread>

#include "common/base/log.h"
#include "fuse/mounts/mount_table.h"

namespace dfs::fuse {
namespace {

using std::chrono::milliseconds;

// How often to look whether a worker is dead without being gone, which no signal tells.
constexpr milliseconds kLook{500};
constexpr milliseconds kPauseLeast{50};
constexpr milliseconds kPauseMost{2000};
// Workers that die at once are replaced at once so often.
constexpr unsigned kWithoutPause = 2;

Result<UniqueFd> catch_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGCHLD}) ::sigaddset(&set, number);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return fail_errno(errno, "sigprocmask");
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);  // the terminal we were started from is closed
  UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return fail_errno(errno, "signalfd");
  return signals;
}

SteadyTime now() { return std::chrono::steady_clock::now(); }

}  // namespace

std::optional<milliseconds> Replacement::pause_after(SteadyTime::duration life, Cause cause) {
  if (life >= kWell || cause == Cause::killed) in_a_row_ = 0;
  if (++in_a_row_ > kInARowMax) {
    if (cause == Cause::crashed) return std::nullopt;
    in_a_row_ = kInARowMax;
  }
  if (in_a_row_ <= kWithoutPause) return milliseconds{0};
  return std::min(kPauseLeast * (1U << (in_a_row_ - kWithoutPause - 1)), kPauseMost);
}

Result<Supervisor> Supervisor::create(Parts parts) {
  Program program = TRY(Program::open(parts.invocation.program));
  LastingMemory memory = TRY(LastingMemory::create());
  UniqueFd signals = TRY(catch_signals());
  return Supervisor(std::move(parts), std::move(program), std::move(memory), std::move(signals));
}

Result<int> Supervisor::run() {
  TRY(start_worker());
  for (;;) {
    wait();
    take_signals();
    if (link_is_open_) TRY(take_message());
    if (control_) answer_asker();
    reap_former();
    const auto end = find_end();
    if (!end) continue;
    TRY(take_last_words());
    const std::optional<int> status = TRY(take_end(*end));
    if (status) return *status;
  }
}

std::optional<WorkerProcess::End> Supervisor::find_end() {
  auto end = worker_->ended();
  if (!end && worker_->is_stuck_dead()) {
    former_.push_back(worker_->process());
    end = WorkerProcess::End{true, SIGKILL};
  }
  return end;
}

void Supervisor::reap_former() {
  std::erase_if(former_, [](pid_t process) { return ::waitpid(process, nullptr, WNOHANG) != 0; });
}

Result<void> Supervisor::start_worker() {
  WorkerProcess worker = TRY(WorkerProcess::start(parts_.invocation, program_, parts_.directory,
                                                  memory_.descriptor()));
  worker_.emplace(std::move(worker));
  link_is_open_ = true;
  serves_ = false;
  started_ = now();
  return {};
}

void Supervisor::wait() {
  const int link = link_is_open_ ? worker_->link().descriptor() : -1;
  const auto asked = control_ ? control_->descriptors() : std::array{-1, -1};
  std::array watched{pollfd{signals_.get(), POLLIN, 0}, pollfd{link, POLLIN, 0},
                     pollfd{asked[0], POLLIN, 0}, pollfd{asked[1], POLLIN, 0}};
  ::poll(watched.data(), watched.size(), static_cast<int>(kLook.count()));
}

void Supervisor::take_signals() {
  signalfd_siginfo signal{};
  while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
    const int number = static_cast<int>(signal.ssi_signo);
    if (number == SIGCHLD) continue;
    asked_to_end_ = number;
    worker_->signal(number);
  }
}

Result<void> Supervisor::take_message() {
  pollfd link{worker_->link().descriptor(), POLLIN, 0};
  if (::poll(&link, 1, 0) <= 0) return {};
  auto received = worker_->link().receive();
  link_is_open_ = received.has_value() && received->has_value();
  if (!link_is_open_) return {};
  const WorkerMessage& message = **received;
  switch (message.word) {
    case WorkerWord::wants_device:
      return hand_over_device();
    case WorkerWord::failed:
      failure_ = Error{Errc::io, message.text};
      return {};
    case WorkerWord::ready:
    case WorkerWord::ready_alone:
      return take_ready(message);
    case WorkerWord::device:
    case WorkerWord::no_device:
      return {};
  }
  return {};
}

Result<void> Supervisor::take_ready(const WorkerMessage& message) {
  can_be_replaced_ = message.word == WorkerWord::ready;
  serves_ = true;
  if (asked_to_end_) worker_->signal(*asked_to_end_);
  if (former_program_) {
    former_program_.reset();
    control_->answer(fmt::format("is served by version {} now", message.text));
  }
  if (std::exchange(has_served_, true)) return {};
  return parts_.succeeded();
}

// What it had said before it ended.
Result<void> Supervisor::take_last_words() {
  pollfd link{worker_->link().descriptor(), POLLIN, 0};
  while (link_is_open_ && ::poll(&link, 1, 0) > 0) TRY(take_message());
  return {};
}

Result<void> Supervisor::hand_over_device() {
  if (!point_) {
    Result<MountPoint> mounted = parts_.mount();
    if (!mounted)
      return tell_worker(WorkerWord::no_device, mounted.error().text);
    point_.emplace(*std::move(mounted));
    device_ = point_->take_device();
    let_programs_ask();
  }
  return tell_worker(WorkerWord::device, {}, device_.get());
}

// One that cannot be told, most likely because it has just been killed, is replaced.
Result<void> Supervisor::tell_worker(WorkerWord word, const std::string& text, int descriptor) {
  const Result<void> sent = worker_->link().send(word, text, descriptor);
  if (sent) return {};
  if (!has_served_) return sent;
  log_warn("fuse", "the process that is to serve {} does not listen: {}",
           parts_.directory.native(), sent.error().to_string());
  link_is_open_ = false;
  worker_->signal(SIGKILL);
  return {};
}

// The mount is worth more than being asked.
void Supervisor::let_programs_ask() {
  const auto mounted = mounted_at(parts_.directory);
  if (!mounted) return;
  Result<MountControl> control = MountControl::open(mounted->device);
  if (control)
    control_.emplace(*std::move(control));
  else
    log_warn("fuse", "nobody can ask for an upgrade of this mount: {}", control.error().to_string());
}

void Supervisor::answer_asker() {
  const std::optional<std::string> word = control_->take();
  if (!word) return;
  const Result<void> begun = *word == kUpgradeWord
                                 ? upgrade()
                                 : fail(Errc::invalid, "the supervisor does not know that word");
  if (!begun) control_->answer(fail(begun.error()));
}

// The worker is killed as by anybody: whatever it is doing then goes on in the next one.
Result<void> Supervisor::upgrade() {
  if (!serves_) return fail(Errc::again, "its process has only just begun; try again");
  if (!can_be_replaced_) return fail(Errc::unsupported, "this kernel allows no other process to go on");
  Program program = TRY(Program::open(parts_.invocation.program));
  log_info("fuse", "{} is handed over to {} as it is now", parts_.directory.native(),
           parts_.invocation.program.native());
  former_program_ = std::exchange(program_, std::move(program));
  worker_->signal(SIGKILL);
  return {};
}

Result<void> Supervisor::go_back(const WorkerProcess::End& end) {
  const std::string why = failure_ ? failure_->text
                          : end.by_signal ? fmt::format("ended by signal {}", end.number)
                                          : fmt::format("ended with status {}", end.number);
  program_ = *std::exchange(former_program_, std::nullopt);
  failure_.reset();
  log_error("fuse", "the new program cannot go on with {} ({}): the former one does",
            parts_.directory.native(), why);
  control_->answer(fail(Errc::io, fmt::format("the new program cannot go on with it ({}): the "
                                              "former one does", why)));
  return start_worker();
}

// A worker that ends by itself has unmounted, or says why not.
Result<std::optional<int>> Supervisor::take_end(const WorkerProcess::End& end) {
  if (former_program_ && !serves_) {
    TRY(go_back(end));
    return std::optional<int>{};
  }
  if (end.by_signal && has_served_) return replace(end);
  if (end.by_signal)
    return fail(Errc::io, fmt::format("ended unexpectedly (signal {})", end.number));
  if (point_ && serves_) point_->forget();
  if (!has_served_)
    return fail(failure_ ? *failure_
                         : Error{Errc::io, fmt::format("ended unexpectedly (status {})", end.number)});
  return std::optional<int>(end.number);
}

// Nobody answers any more: programs are told so.
std::optional<int> Supervisor::give_up() {
  device_ = UniqueFd();
  if (const auto mounted = mounted_at(parts_.directory)) cut_off(*mounted);
  return EXIT_FAILURE;
}

Result<std::optional<int>> Supervisor::replace(const WorkerProcess::End& end) {
  const auto life = now() - started_;
  const char* const name = ::strsignal(end.number);
  if (!can_be_replaced_) {
    log_error("fuse", "the mount at {} was ended by signal {} ({}); on this kernel nobody can go on",
              parts_.directory.native(), end.number, name);
    return give_up();
  }
  const auto cause = end.number != SIGKILL ? Replacement::Cause::crashed
                     : serves_             ? Replacement::Cause::killed
                                           : Replacement::Cause::killed_early;
  const auto pause = replacement_.pause_after(life, cause);
  if (!pause) {
    log_error("fuse", "the mount at {} is given up: {} processes in a row were ended within {} s, "
                      "the last one by signal {} ({})",
              parts_.directory.native(), Replacement::kInARowMax, Replacement::kWell.count(),
              end.number, name);
    return give_up();
  }
  log_warn("fuse", "the process that serves {} was ended by signal {} ({}); another one goes on",
           parts_.directory.native(), end.number, name);
  flush_logs();
  std::this_thread::sleep_for(*pause);
  TRY(start_worker());
  return std::optional<int>{};
}

}  // namespace dfs::fuse
