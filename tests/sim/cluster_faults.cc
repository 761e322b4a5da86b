// What goes wrong in a cluster, each for a while.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "server/storage/copy_check.h"
#include "tests/sim/cluster_world.h"

namespace dfs::sim {
namespace {

using namespace std::chrono_literals;
using Operation = storage::FakeDisk::Operation;

constexpr auto kDownMost = 15'000ms;
constexpr auto kCutMost = 8'000ms;
constexpr auto kDiskMost = 6'000ms;
constexpr auto kStartAgain = 500ms;
constexpr std::uint64_t kSlowMostMs = 2'000;
constexpr std::size_t kMountLivesMax = 4;
constexpr std::size_t kChunksLookedAt = 1'000;
constexpr std::uint64_t kFullDisk = 5 * MiB;
constexpr std::uint64_t kDiskBytes = 64 * MiB;

}  // namespace

void ClusterWorld::go_wrong() {
  const auto comes = [this](std::uint64_t one_in) {
    return one_in > 0 && faults() < plan_.faults_most && dice_.one_in(one_in);
  };
  const std::size_t before = faults();
  if (comes(plan_.one_in_node_deaths)) kill_node(dice_.below(nodes_.size()), any_death());
  if (comes(plan_.one_in_meta_deaths)) kill_meta(any_death());
  if (comes(plan_.one_in_blackouts)) black_out();
  if (comes(plan_.one_in_mount_deaths)) kill_mount();
  if (comes(plan_.one_in_cuts)) cut_a_way();
  if (comes(plan_.one_in_damage)) damage_a_byte();
  if (comes(plan_.one_in_disks)) trouble_a_disk();
  // While storage servers cannot be written to, a session may be ended that cannot give
  // back in time what others wait for; and disks that are full are an error.
  if (faults() != before) book_.expect_losses();
}

std::size_t ClusterWorld::faults() const {
  return counts_.deaths + counts_.cuts + counts_.damaged + counts_.disks;
}

void ClusterWorld::later(std::chrono::milliseconds most, std::function<void()> what) {
  const auto time = std::chrono::milliseconds{dice_.below(static_cast<std::uint64_t>(most.count()))};
  later_.emplace(scheduler_.now() + time, std::move(what));
}

Death ClusterWorld::any_death() { return plan_.power && dice_.one_in(2) ? Death::power : Death::process; }

// --- deaths ------------------------------------------------------------------------------

void ClusterWorld::kill_node(std::size_t victim, Death death) {
  if (!nodes_[victim]->is_up()) return;
  trace_.add(fmt::format("    storage server {} {}", victim + 1, death == Death::power ? "loses power" : "is killed"));
  ++counts_.deaths;
  nodes_[victim]->die(death, static_cast<std::uint32_t>(dice_.number()));
  later(kDownMost, [this, victim] { start_node(victim); });
}

void ClusterWorld::start_node(std::size_t number) {
  if (nodes_[number]->is_up()) return;
  nodes_[number]->start();
  const bool is_up = nodes_[number]->is_up();
  trace_.add(fmt::format("    storage server {} {}", number + 1, is_up ? "starts" : "cannot start"));
  if (!is_up) later(kStartAgain, [this, number] { start_node(number); });
}

void ClusterWorld::black_out() {
  for (std::size_t victim = 0; victim < nodes_.size(); ++victim) kill_node(victim, Death::power);
  kill_meta(Death::power);
}

void ClusterWorld::kill_meta(Death death) {
  trace_.add(fmt::format("    the metadata server {} and starts again",
                         death == Death::power ? "loses power" : "is killed"));
  ++counts_.deaths;
  wires_.die(meta_);
  network_->restart_server(death);
  wires_.revive(meta_);
  // What it had not synced is gone for everybody.
  if (death == Death::power) book_.doubt_all();
}

// Its engine goes when its programs have heard that it is dead.
void ClusterWorld::kill_mount() {
  const std::size_t victim = dice_.below(plan_.mounts);
  Mount& mount = *mounts_[victim];
  if (mount.dying || mount.lives >= kMountLivesMax) return;
  trace_.add(fmt::format("    mount {} is killed", victim + 1));
  ++counts_.deaths;
  mount.dying = true;
  for (FileSteps* steps : mount.steps) steps->doubt_all();
  network_->leave(mount.place);
  wires_.die(mount.end);
  mount.session->end();
  for (FileSteps* steps : mount.steps) steps->interrupt();
}

void ClusterWorld::bury() {
  for (std::size_t number = 0; number < mounts_.size(); ++number) {
    Mount& mount = *mounts_[number];
    const auto waits = [](const Program* program) { return program->is_ready() || program->is_over(); };
    if (!mount.dying || mount.begins || !std::ranges::all_of(mount.programs, waits)) continue;
    for (FileSteps* steps : mount.steps) steps->abandon();
    mount.files.reset();
    mount.storage.reset();
    mount.begins = true;
    begin(mount, fmt::format("mount{}", number + 1));
    mount.begins = mount.dying = false;
  }
}

// --- ways --------------------------------------------------------------------------------

void ClusterWorld::cut_a_way() {
  ++counts_.cuts;
  const StorageNode& node = *nodes_[dice_.below(nodes_.size())];
  const std::size_t other = dice_.below(nodes_.size() + plan_.mounts + 1);
  if (other == nodes_.size() + plan_.mounts) {
    const std::size_t victim = dice_.below(plan_.mounts);
    trace_.add(fmt::format("    the stream of mount {} breaks", victim + 1));
    return network_->cut(mounts_[victim]->place);
  }
  const Wires::End far = other < nodes_.size() ? nodes_[other]->end() : mounts_[other - nodes_.size()]->end;
  const Wires::End end = far == node.end() ? meta_ : far;
  trace_.add(fmt::format("    {} and {} do not reach each other", wires_.name(node.end()), wires_.name(end)));
  wires_.cut(node.end(), end);
  later(kCutMost, [this, one = node.end(), end] { wires_.mend(one, end); });
}

// --- disks -------------------------------------------------------------------------------

// Never the last good copy: what no copy is left of is lost, and rightly so.
void ClusterWorld::damage_a_byte() {
  const std::size_t victim = dice_.below(nodes_.size());
  StorageNode& node = *nodes_[victim];
  if (!node.is_up()) return;
  const auto chunks = node.stores()->list(ChunkId{}, kChunksLookedAt);
  if (!chunks || chunks->empty()) return;
  const ChunkId chunk = (*chunks)[dice_.below(chunks->size())];
  if (!is_safe_elsewhere(chunk, victim) || !node.damage(chunk, dice_)) return;
  trace_.add(fmt::format("    a byte of {} changes on the disk of storage server {}", to_string(chunk), victim + 1));
  ++counts_.damaged;
}

bool ClusterWorld::is_safe_elsewhere(ChunkId chunk, std::size_t except) const {
  for (std::size_t number = 0; number < nodes_.size(); ++number) {
    StorageNode& node = *nodes_[number];
    if (number == except || !node.is_up() || node.is_slow() || node.is_in_trouble()) continue;
    const auto copy = storage::check_copy(*node.stores(), chunk);
    if (!copy || copy->state != storage::CopyState::good) continue;
    const auto store = node.stores()->store_of(chunk);
    if (store && *store != nullptr && (*store)->sync({&chunk, 1})) return true;
  }
  return false;
}

void ClusterWorld::trouble_a_disk() {
  const std::size_t victim = dice_.below(nodes_.size());
  StorageNode& node = *nodes_[victim];
  ++counts_.disks;
  switch (dice_.below(3)) {
    case 0: {
      const auto operation = dice_.pick({Operation::write, Operation::sync, Operation::read, Operation::punch});
      const auto count = static_cast<int>(dice_.between(1, 3));
      const auto skip = static_cast<int>(dice_.below(10));
      trace_.add(fmt::format("    the disk of storage server {} will fail", victim + 1));
      return node.disk().fail_next(operation, Errc::io, count, skip);
    }
    case 1:
      trace_.add(fmt::format("    the disk of storage server {} is full", victim + 1));
      node.disk().set_capacity(kFullDisk);
      return later(kDiskMost, [&node] { node.disk().set_capacity(kDiskBytes); });
    default:
      trace_.add(fmt::format("    the disk of storage server {} is slow", victim + 1));
      node.set_slow(std::chrono::milliseconds{1 + dice_.below(kSlowMostMs)});
      return later(kDiskMost, [&node] { node.set_slow(0ms); });
  }
}

// Whoever looks after a server starts it again when its store refuses to go on, some
// time after that, which may be long after the disk was told to fail.
void ClusterWorld::look_after_disks() {
  for (std::size_t number = 0; number < nodes_.size(); ++number) {
    if (!nodes_[number]->is_in_trouble() || !looked_after_.insert(number).second) continue;
    later(kDownMost, [this, number] {
      looked_after_.erase(number);
      if (nodes_[number]->is_in_trouble()) nodes_[number]->die(Death::process, 0);
      start_node(number);
    });
  }
}

// A disk that failed is looked after: its server starts again.
void ClusterWorld::end_all_faults() {
  for (auto& [time, what] : std::exchange(later_, {})) what();
  for (std::size_t number = 0; number < nodes_.size(); ++number) {
    StorageNode& node = *nodes_[number];
    for (const auto operation : {Operation::write, Operation::sync, Operation::read, Operation::punch})
      node.disk().fail_next(operation, Errc::io, 0);
    if (node.is_in_trouble()) node.die(Death::process, 0);
    start_node(number);
  }
}

}  // namespace dfs::sim
