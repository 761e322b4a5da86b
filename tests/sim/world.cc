#include "tests/sim/world.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "tests/history/check.h"
#include "tests/history/early_reads.h"

namespace dfs::sim {
namespace {

using namespace std::chrono_literals;

// Between two pieces of housekeeping, as in the real server.
constexpr auto kTickInterval = 200ms;
// Nothing to do but to wait for timers of the engines, so long in a row.
constexpr auto kIdleMax = 10min;
// Events in a row in which no program gets on: sessions that say they are there.
constexpr std::size_t kVainEventsMax = 10'000;
// Twice as long as a session lives that says nothing.
constexpr std::uint64_t kFreezeMaxMs = 24'000;
// Meanwhile events are sometimes far apart.
constexpr std::uint64_t kFrozenMomentMaxMs = 600;
// In a hurry, the threads get on so far.
constexpr std::uint64_t kTurnsInAHurry = 6;

ClientConfig client_config(const Plan& plan) {
  ClientConfig config;
  config.write_buffer_bytes = 4 * MiB;
  config.read_cache_bytes = 4 * MiB;
  config.read_ahead_bytes_max = 256 * KiB;
  config.leases = plan.leases == Session::Leases::wanted;
  return config;
}

ServerOptions server_options() { return {.storage_servers = 1}; }

}  // namespace

World::Mount::Mount(const Plan& plan, const Clock& clock, std::size_t number)
    : session(clock, fmt::format("mount {}", number + 1), plan.leases) {}

World::World(const Plan& plan, Trace& trace, std::function<void(const std::string& problem)> stuck)
    : plan_(plan),
      stuck_(std::move(stuck)),
      scheduler_({.seed = plan.seed,
                  .one_in_preemptions = plan.one_in_preemptions,
                  .stuck = [this](const std::string& threads) { stuck_("nothing goes on any more\n" + threads); }}),
      trace_(trace),
      dice_(plan.seed, ~std::uint64_t{0}),
      recorder_(trace),
      storage_(server_options().storage_servers),
      server_(clock_, server_options()) {}

World::~World() {
  for (const auto& mount : mounts_) mount->session.end();
  programs_.clear();
  for (const auto& mount : mounts_) mount->files.reset();
  network_.reset();
}

Outcome World::run() {
  trace_.add(fmt::format("seed {}: {}", plan_.seed, to_text(plan_)));
  start_mounts();
  Result<void> prepared;
  work({{1, [&](std::size_t) { prepared = prepare(*mounts_[0]->kernel, shared_); }}}, Mood::calm);
  if (!prepared) return {.problem = "what the programs share cannot be made: " + prepared.error().to_string()};

  std::vector<std::unique_ptr<RandomSteps>> steps;
  std::vector<Work> random;
  std::vector<Work> last;
  for (std::size_t number = 0; number < plan_.mounts * plan_.programs_per_mount; ++number) {
    const std::size_t at = number % plan_.mounts;
    const Surroundings with{*mounts_[at]->kernel, recorder_, plan_, shared_};
    steps.push_back(std::make_unique<RandomSteps>(with, fmt::format("mount{}.{}", at + 1, number + 1), number + 1));
    RandomSteps& mine = *steps.back();
    random.push_back({plan_.steps, [&mine](std::size_t step) { mine.step(step); }});
    last.push_back({1, [&mine](std::size_t) { mine.look_at_everything(); }});
  }
  work(std::move(random), Mood::as_planned);
  thaw(true);
  work(std::move(last), Mood::calm);

  Outcome outcome;
  outcome.counts.events = events_;
  for (const auto& mount : mounts_) outcome.counts.sessions_replaced += mount->session.times_replaced();
  std::vector<history::Operation> history = recorder_.take();
  outcome.counts.operations = history.size();
  for (const auto& each : steps)
    if (outcome.problem.empty()) outcome.problem = each->complaint();
  if (!outcome.problem.empty()) return outcome;
  history = history::without_early_reads(std::move(history));
  const auto judged = history::judge(history);
  if (!judged) outcome.problem = judged.error().to_string();
  else if (judged->verdict != history::Judgement::Verdict::ok) outcome.problem = judged->text;
  return outcome;
}

void World::start_mounts() {
  network_ = std::make_unique<Network>(server_, trace_);
  for (std::size_t number = 0; number < plan_.mounts; ++number) {
    mounts_.push_back(std::make_unique<Mount>(plan_, clock_, number));
    network_->add(mounts_.back()->session);
    paces_.push_back(dice_.between(1, plan_.pace_most));
    frozen_until_.push_back(scheduler_.now());
  }
  pump([this] { return std::ranges::all_of(mounts_, [](const auto& mount) { return mount->session.is_up(); }); },
       Mood::calm);
  for (const auto& each : mounts_) mount(*each);
}

void World::mount(Mount& mount) {
  auto files = FileSystem::create(client_config(plan_), mount.session, storage_, clock_);
  invariant(files.has_value(), "an engine can be made");
  mount.files = *std::move(files);
  mount.kernel = std::make_shared<Kernel>(*mount.files, clock_, plan_.caching);
  mount.files->set_kernel(plan_.caching == Kernel::Caching::none ? nullptr : mount.kernel);
  FileSystem& engine = *mount.files;
  SessionHooks hooks{.held = [&engine] { return engine.held_inodes(); },
                     .locks = [&engine] { return engine.held_locks(); },
                     .leases = {},
                     .on_new_session = [&engine] { engine.session_replaced(); }};
  if (plan_.leases == Session::Leases::wanted) hooks.leases = engine.lease_hooks();
  mount.session.set_hooks(std::move(hooks));
}

// --- what happens next -----------------------------------------------------------------

void World::work(std::vector<Work> all, Mood mood) {
  for (Work& each : all) programs_.push_back(std::make_unique<Program>(each.steps, std::move(each.step)));
  pump([this] { return std::ranges::all_of(programs_, [](const auto& each) { return each->is_over(); }); }, mood);
  programs_.clear();
}

void World::pump(const std::function<bool()>& done, Mood mood) {
  std::size_t vain = 0;
  std::int64_t told = 0;
  idle_since_ = scheduler_.now();
  for (;;) {
    const bool hurries = plan_.one_in_hurries > 0 && dice_.one_in(plan_.one_in_hurries);
    if (hurries) scheduler_.let_run(dice_.below(kTurnsInAHurry));
    else scheduler_.settle();
    if (done()) return;
    if (recorder_.told() != told) {
      told = recorder_.told();
      vain = 0;
    }
    const bool any = take_one_event();
    if (any) {
      idle_since_ = scheduler_.now();
      ++events_;
      if (++vain > kVainEventsMax) give_up();
    }
    if (mood == Mood::as_planned) go_wrong();
    if (!hurries) any ? let_time_pass() : wait_for_timers();
    network_->tidy();
  }
}

std::uint64_t World::weight_of(const Network::Choice& choice, std::size_t session) const {
  const bool travels = choice.event == Network::Event::send || choice.event == Network::Event::arrive ||
                       choice.event == Network::Event::answer;
  return travels ? 4 * paces_[session] : 2;
}

// False: there is none.
bool World::take_one_event() {
  const std::vector<Network::Choice> messages = network_->choices();
  std::uint64_t total = 0;
  for (const Network::Choice& choice : messages) total += weight_of(choice, network_->session_of(choice));
  std::vector<Program*> ready;
  for (const auto& program : programs_)
    if (program->is_ready()) ready.push_back(program.get());
  total += 3 * ready.size();
  if (total == 0) return false;

  std::uint64_t drawn = dice_.below(total);
  for (const Network::Choice& choice : messages) {
    const std::uint64_t weight = weight_of(choice, network_->session_of(choice));
    if (drawn < weight) {
      network_->happen(choice);
      return true;
    }
    drawn -= weight;
  }
  ready[drawn / 3]->go_on();
  return true;
}

void World::go_wrong() {
  const auto comes = [this](std::uint64_t one_in) { return one_in > 0 && dice_.one_in(one_in); };
  const std::size_t victim = dice_.below(plan_.mounts);
  if (comes(plan_.one_in_cuts)) {
    trace_.add(fmt::format("    the stream of mount {} breaks", victim + 1));
    network_->cut(victim);
  }
  if (comes(plan_.one_in_freezes) && !network_->is_frozen(victim)) {
    const auto time = std::chrono::milliseconds{dice_.below(kFreezeMaxMs)};
    trace_.add(fmt::format("    mount {} and the server do not hear each other for {} ms", victim + 1, time.count()));
    network_->freeze(victim);
    if (dice_.one_in(2)) network_->cut(victim);
    frozen_until_[victim] = scheduler_.now() + time;
  }
  if (comes(plan_.one_in_restarts)) {
    trace_.add("    the server dies and starts again");
    network_->restart_server();
  }
}

// --- time ------------------------------------------------------------------------------

void World::let_time_pass() {
  bool any_frozen = false;
  for (std::size_t session = 0; session < plan_.mounts; ++session) any_frozen |= network_->is_frozen(session);
  pass(std::chrono::microseconds{dice_.below(plan_.moment_most_us)});
  if (any_frozen && dice_.one_in(4)) pass(std::chrono::milliseconds{dice_.below(kFrozenMomentMaxMs)});
}

// Nothing but time is waited for.
void World::wait_for_timers() {
  if (scheduler_.now() - idle_since_ > kIdleMax) give_up();
  const Scheduler::Time timer = scheduler_.next_timer().value_or(Scheduler::Time::max());
  pass(std::min(timer, next_due()) - scheduler_.now());
}

// Whatever is due meanwhile happens in time.
void World::pass(Scheduler::Time time) {
  const Scheduler::Time end = scheduler_.now() + time;
  for (Scheduler::Time due = next_due(); due <= end; due = next_due()) {
    scheduler_.advance_to(due);
    keep_house();
  }
  scheduler_.advance_to(end);
}

Scheduler::Time World::next_due() const {
  Scheduler::Time due = next_tick_;
  for (std::size_t session = 0; session < plan_.mounts; ++session)
    if (network_->is_frozen(session)) due = std::min(due, frozen_until_[session]);
  return due;
}

void World::keep_house() {
  thaw(false);
  if (scheduler_.now() < next_tick_) return;
  next_tick_ = scheduler_.now() + kTickInterval;
  server_.tick();
  for (const auto& mount : mounts_) mount->session.tick();
}

void World::thaw(bool all) {
  for (std::size_t session = 0; session < plan_.mounts; ++session) {
    if (!network_->is_frozen(session) || (!all && scheduler_.now() < frozen_until_[session])) continue;
    trace_.add(fmt::format("    mount {} and the server hear each other again", session + 1));
    network_->thaw(session);
  }
}

void World::give_up() {
  std::size_t over = 0;
  for (const auto& program : programs_) over += program->is_over();
  stuck_(fmt::format("nothing goes on any more; {} of {} programs have come to their end\n{}", over, programs_.size(),
                     scheduler_.threads()));
  std::_Exit(1);
}

}  // namespace dfs::sim
