#include "tests/sim/cluster_world.h"

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "server/storage/copy_check.h"

namespace dfs::sim {
namespace {

using namespace std::chrono_literals;

constexpr auto kTickInterval = 200ms;
// Nothing to do but to wait for timers, so long in a row.
constexpr auto kIdleMax = 10min;
constexpr std::size_t kEventsMax = 400'000;
constexpr std::uint64_t kTurnsInAHurry = 6;
// When nothing goes wrong any more: a scrubber's round, a comparison of lists and what
// is copied then take less.
constexpr int kHealRounds = 150;
constexpr auto kHealRound = 1s;

ClientConfig client_config() {
  ClientConfig config;
  config.write_buffer_bytes = 4 * MiB;
  config.read_cache_bytes = 4 * MiB;
  config.read_ahead_bytes_max = 256 * KiB;
  config.leases = true;
  return config;
}

ServerOptions server_options(const ClusterPlan& plan) {
  return {.storage_servers = 0, .replicas = plan.replicas};
}

}  // namespace

ClusterWorld::ClusterWorld(const ClusterPlan& plan, Trace& trace,
                           std::function<void(const std::string& problem)> stuck)
    : plan_(plan),
      stuck_(std::move(stuck)),
      scheduler_({.seed = plan.seed,
                  .one_in_preemptions = plan.one_in_preemptions,
                  .stuck = [this](const std::string& threads) { stuck_("nothing goes on any more\n" + threads); }}),
      trace_(trace),
      dice_(plan.seed, ~std::uint64_t{1}),
      server_(clock_, server_options(plan)),
      meta_(wires_.add("meta")) {}

ClusterWorld::~ClusterWorld() {
  for (const auto& mount : mounts_) {
    mount->session->end();
    wires_.die(mount->end);
  }
  programs_.clear();
  steps_.clear();
  for (const auto& mount : mounts_) mount->files.reset();
  network_.reset();
  nodes_.clear();
}

std::optional<StorageDoors::Place> ClusterWorld::find(ServerId server) const {
  // They were registered in this order.
  if (server.value() == 0 || server.value() > nodes_.size()) return std::nullopt;
  StorageNode& node = *nodes_[server.value() - 1];
  return Place{node.end(), &node};
}

ClusterOutcome ClusterWorld::run() {
  trace_.add(fmt::format("seed {}: {}", plan_.seed, to_text(plan_)));
  start_servers();
  ClusterOutcome outcome;
  outcome.problem = live();
  if (outcome.problem.empty()) outcome.problem = heal();
  outcome.counts = counts_;
  return outcome;
}

void ClusterWorld::start_servers() {
  network_ = std::make_unique<Network>(server_, trace_);
  const StorageNode::Surroundings with{clock_, wires_, meta_, server_, *this, plan_.fault};
  for (std::size_t number = 1; number <= plan_.nodes; ++number) {
    nodes_.push_back(std::make_unique<StorageNode>(with, fmt::format("storage{}", number)));
    StorageNode& node = *nodes_.back();
    node.start();
    pump([&] { return node.server() == ServerId{static_cast<std::uint32_t>(number)}; }, Mood::calm);
  }
}

ClusterWorld::Mount& ClusterWorld::add_mount() {
  mounts_.push_back(std::make_unique<Mount>());
  begin(*mounts_.back(), fmt::format("mount{}", mounts_.size()));
  return *mounts_.back();
}

void ClusterWorld::begin(Mount& mount, const std::string& name) {
  ++mount.lives;
  mount.session = std::make_unique<Session>(clock_, name, Session::Leases::wanted);
  mount.place = network_->sessions();
  mount.end = wires_.add(fmt::format("{}.{}", name, mount.lives));
  mount.storage = std::make_unique<FarStorage>(wires_, mount.end, *this);
  network_->add(*mount.session);
  pump([&] { return mount.session->is_up(); }, Mood::calm);
  auto files = FileSystem::create(client_config(), *mount.session, *mount.storage, clock_);
  invariant(files.has_value(), "an engine can be made");
  mount.files = *std::move(files);
  mount.desk.files = mount.files.get();
  FileSystem& engine = *mount.files;
  mount.session->set_hooks({.held = [&engine] { return engine.held_inodes(); },
                            .locks = [&engine] { return engine.held_locks(); },
                            .leases = engine.lease_hooks(),
                            .on_new_session = [&engine, &mount] {
                              ++mount.desk.sessions_replaced;
                              for (FileSteps* steps : mount.steps) steps->doubt_all();
                              engine.session_replaced();
                            }});
}

// The programs do what they do while things go wrong. Returns what they found.
std::string ClusterWorld::live() {
  std::vector<Work> all;
  for (std::size_t number = 0; number < plan_.mounts; ++number) add_mount();
  for (std::size_t number = 0; number < plan_.mounts * plan_.programs_per_mount; ++number) {
    Mount& mount = *mounts_[number % plan_.mounts];
    steps_.push_back(std::make_unique<FileSteps>(mount.desk, book_, trace_, plan_.seed, number + 1));
    mount.steps.push_back(steps_.back().get());
    all.push_back({plan_.steps, [steps = steps_.back().get()](std::size_t step) { steps->step(step); }});
  }
  work(std::move(all), Mood::as_planned);
  for (const auto& steps : steps_)
    if (!steps->problem().empty()) return steps->problem();
  return {};
}

// Everything goes well from now on. Returns what did not heal, or was not there.
std::string ClusterWorld::heal() {
  trace_.add("    nothing goes wrong any more");
  end_all_faults();
  Mount& reader = add_mount();
  // Copies are bad or missing now, and no byte that is read may be another one.
  if (const std::string wrong = read_everything(reader, FileSteps::Expect::no_wrong_bytes); !wrong.empty()) return wrong;
  std::string lacks = "nothing was looked at";
  for (int round = 0; round < kHealRounds && !lacks.empty(); ++round) {
    end_all_faults();
    work({{1, [&](std::size_t) {
             std::this_thread::sleep_for(kHealRound);
             lacks = lacking(reader);
           }}},
         Mood::calm);
  }
  const std::string wrong = read_everything(add_mount(), FileSteps::Expect::all_that_is_safe);
  if (!wrong.empty()) return wrong;
  if (!lacks.empty()) return "after a long time " + lacks;
  return {};
}

std::string ClusterWorld::read_everything(Mount& mount, FileSteps::Expect expect) {
  std::string wrong;
  work({{1, [&](std::size_t) { wrong = FileSteps::read_all(*mount.files, book_, expect); }}}, Mood::calm);
  return wrong;
}

std::string ClusterWorld::lacking(Mount& mount) const {
  const auto status = mount.session->call(ClusterStatusArgs{}, {}, nullptr);
  if (!status) return "the cluster's status is not told: " + status.error().to_string();
  const GroupTable& table = std::get<ClusterStatusResult>(*status).group_table;
  for (const std::string& name : book_.files()) {
    const auto found = mount.files->lookup(kRootInode, name, {});
    if (!found) continue;
    if (const std::string lacks = lacking(mount, table, found->inode); !lacks.empty()) return name + ": " + lacks;
  }
  return {};
}

std::string ClusterWorld::lacking(Mount& mount, const GroupTable& table, InodeId inode) const {
  const auto extents = mount.files->extents(inode, {});
  if (!extents) return "where it is is not told: " + extents.error().to_string();
  for (const Extent& extent : *extents) {
    const auto group = table.groups.find(extent.chunk.group());
    if (group == table.groups.end()) return to_string(extent.chunk) + " is of a group that is not told";
    std::size_t good = 0;
    std::string lacks;
    for (const GroupMember& member : group->second.members) {
      storage::StoreSet* const stores = nodes_[member.server.value() - 1]->stores();
      const auto copy = stores == nullptr ? Result<storage::CheckedCopy>(fail(Errc::unavailable))
                                          : storage::check_copy(*stores, extent.chunk);
      if (copy && copy->state == storage::CopyState::good) ++good;
      else lacks = fmt::format("server {} has no good copy of {}", member.server.value(), to_string(extent.chunk));
    }
    // One that is nowhere will not come back; whether it may be, reading says.
    if (good > 0 && !lacks.empty()) return lacks;
  }
  return {};
}

// --- what happens next -----------------------------------------------------------------

void ClusterWorld::work(std::vector<Work> all, Mood mood) {
  for (Work& each : all) programs_.push_back(std::make_unique<Program>(each.steps, std::move(each.step)));
  if (mood == Mood::as_planned)
    for (std::size_t number = 0; number < programs_.size(); ++number)
      mounts_[number % plan_.mounts]->programs.push_back(programs_[number].get());
  pump([this] { return std::ranges::all_of(programs_, [](const auto& each) { return each->is_over(); }); }, mood);
  bury();
  for (const auto& mount : mounts_) mount->programs.clear();
  programs_.clear();
}

void ClusterWorld::pump(const std::function<bool()>& done, Mood mood) {
  idle_since_ = scheduler_.now();
  for (;;) {
    const bool hurries = plan_.one_in_hurries > 0 && dice_.one_in(plan_.one_in_hurries);
    if (hurries) scheduler_.let_run(dice_.below(kTurnsInAHurry));
    else scheduler_.settle();
    if (done()) return;
    const bool any = take_one_event();
    if (any) {
      idle_since_ = scheduler_.now();
      if (++counts_.events > kEventsMax) give_up();
    }
    if (mood == Mood::as_planned && any) go_wrong();
    if (!hurries && any) pass(std::chrono::microseconds{dice_.below(plan_.moment_most_us)});
    if (!hurries && !any) {
      if (scheduler_.now() - idle_since_ > kIdleMax) give_up();
      const Time timer = scheduler_.next_timer().value_or(Time::max());
      pass(std::min(timer, next_due()) - scheduler_.now());
    }
    network_->tidy();
  }
}

// False: there is none.
bool ClusterWorld::take_one_event() {
  const std::vector<Network::Choice> messages = network_->choices();
  const std::vector<Wires::Choice> calls = wires_.choices();
  std::vector<Program*> ready;
  for (const auto& program : programs_)
    if (program->is_ready()) ready.push_back(program.get());
  for (const auto& mount : mounts_)
    if (mount->dying) std::erase_if(ready, [&](Program* each) { return std::ranges::count(mount->programs, each) > 0; });
  const std::uint64_t total = 4 * (messages.size() + calls.size()) + ready.size();
  if (total == 0) return false;

  std::uint64_t drawn = dice_.below(total);
  if (drawn < 4 * messages.size()) {
    network_->happen(messages[drawn / 4]);
    return true;
  }
  drawn -= 4 * messages.size();
  if (drawn < 4 * calls.size()) {
    wires_.happen(calls[drawn / 4]);
    return true;
  }
  ready[drawn - 4 * calls.size()]->go_on();
  return true;
}

// --- time ------------------------------------------------------------------------------

void ClusterWorld::pass(Time time) {
  const Time end = scheduler_.now() + time;
  for (Time due = next_due(); due <= end; due = next_due()) {
    scheduler_.advance_to(due);
    keep_house();
  }
  scheduler_.advance_to(end);
}

ClusterWorld::Time ClusterWorld::next_due() const {
  return later_.empty() ? next_tick_ : std::min(next_tick_, later_.begin()->first);
}

void ClusterWorld::keep_house() {
  while (!later_.empty() && later_.begin()->first <= scheduler_.now()) {
    const std::function<void()> what = std::move(later_.begin()->second);
    later_.erase(later_.begin());
    what();
  }
  bury();
  if (scheduler_.now() < next_tick_) return;
  next_tick_ = scheduler_.now() + kTickInterval;
  server_.tick();
  look_after_disks();
  for (const auto& mount : mounts_)
    if (!mount->dying) mount->session->tick();
}

void ClusterWorld::give_up() {
  std::size_t over = 0;
  for (const auto& program : programs_) over += program->is_over();
  stuck_(fmt::format("nothing goes on any more; {} of {} programs have come to their end\n{}", over, programs_.size(),
                     scheduler_.threads()));
  std::_Exit(1);
}

}  // namespace dfs::sim
