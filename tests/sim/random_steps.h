// What programs of a run do: random steps on what they share, written down.
//
// Threads: each object is one program's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "tests/sim/kernel.h"
#include "tests/sim/plan.h"
#include "tests/sim/recorder.h"

namespace dfs::sim {

// Where everything is, made before the programs start.
struct Shared {
  static constexpr std::uint64_t kBlocks = 2;
  InodeId directory;
  Place blocks{kRootInode, "blocks"};
  Place log{kRootInode, "log"};
};

// What a program does its steps with. All must outlive it.
struct Surroundings {
  Kernel& kernel;
  Recorder& recorder;
  const Plan& plan;
  const Shared& shared;
};

// Makes what `Shared` says.
Result<void> prepare(Kernel& kernel, Shared& shared);

// Random steps on what is shared; everything about a step follows from the plan's
// seed and its number.
class RandomSteps {
 public:
  RandomSteps(Surroundings surroundings, std::string client, std::uint64_t number);
  void step(std::size_t number);
  // What all must agree on in the end.
  void look_at_everything();
  // An error that no plan of this kind may cause; empty: none.
  const std::string& complaint() const { return complaint_; }

 private:
  void name_step(Dice& dice);
  void block_step(Dice& dice);
  void log_step(Dice& dice);

  void create(const Place& place);
  void unlink(const Place& place);
  void rename(const Place& from, const Place& to);
  void lookup(const Place& place);
  void list(InodeId directory);
  void write_block(std::uint64_t block, const Kernel::File& file);
  void read_block(std::uint64_t block, const Kernel::File& file);
  void append_record(const Kernel::File& file);
  void read_log(const Kernel::File& file);

  Place any_place(Dice& dice) const;
  std::string object(InodeId directory) const;
  history::Operation begin(history::Kind kind, std::string object) const;
  // Ends it as its result says; true if it succeeded.
  template <typename T>
  bool end(history::Operation& operation, const Result<T>& result);
  template <typename T>
  bool expect(const Result<T>& result, const char* what);
  void complain(const std::string& what, const Error& error);
  // Opened before, or anew and perhaps closed afterwards.
  using Work = std::function<void(const Kernel::File&)>;
  void with_file(const Place& place, Kernel::Opening opening, Dice& dice, const Work& work);

  const Surroundings with_;
  const std::string client_;
  const std::uint64_t number_;
  std::uint64_t written_ = 0;
  std::map<std::pair<Place, Kernel::Opening>, Kernel::File> kept_;
  std::string complaint_;
};

}  // namespace dfs::sim
