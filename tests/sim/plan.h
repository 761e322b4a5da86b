// What a seed decides before anything happens.
#pragma once

#include <cstdint>
#include <string>

#include "tests/model/dice.h"
#include "tests/sim/kernel.h"
#include "tests/sim/session.h"

namespace dfs::sim {

using model::Dice;

// What the programs of a run share.
enum class Sharing { blocks, names, log, all };

struct Plan {
  std::uint64_t seed = 1;
  Sharing sharing = Sharing::all;
  std::size_t mounts = 2;
  std::size_t programs_per_mount = 2;
  std::size_t steps = 8;  // of each program
  Kernel::Caching caching = Kernel::Caching::as_linux;
  Session::Leases leases = Session::Leases::wanted;
  // Of so many events one is this; 0: none.
  std::uint64_t one_in_cuts = 0;
  std::uint64_t one_in_restarts = 0;
  std::uint64_t one_in_freezes = 0;  // for longer than a recall is waited for
  // How much more often the messages of each session travel than those of the slowest.
  std::uint64_t pace_most = 1;
  // Of so many locks taken or released one lets another thread go on; 0: none.
  std::uint64_t one_in_preemptions = 0;
  // Of so many events one finds threads that have not got on as far as they can; 0: none.
  std::uint64_t one_in_hurries = 0;
  // How long an event takes at most.
  std::uint64_t moment_most_us = 2'000;

  // What was not on the servers when its session ended is gone; then programs make
  // sure of each write.
  bool sessions_may_end() const { return one_in_freezes > 0 || one_in_restarts > 0; }
};

Plan plan_of(std::uint64_t seed);
std::string to_text(const Plan& plan);

}  // namespace dfs::sim
