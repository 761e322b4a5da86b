// One step of a run: what is done, with which arguments. Both sides are given
// the same Operation; nothing in it depends on a side.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "tests/model/dice.h"
#include "tests/model/feature.h"

namespace dfs::model {

class Side;
struct Operation;

// Open descriptors are numbered; both sides keep the same numbers open.
inline constexpr std::size_t kSlots = 8;

// Where things break: files grow and are cut near the multiples of these.
struct Geometry {
  std::uint64_t chunk = 64 * 1024;
  std::uint64_t file_max = 4 * 64 * 1024 + 8192;  // no file of a run becomes longer
};

// What a step did on one side.
struct Outcome {
  std::int64_t value = 0;  // what the call returned
  int error = 0;           // errno, if that was -1
  std::string bytes;       // what was read, listed or found, the same on both sides
  std::string complaint;   // a rule that this side broke by itself; empty: none

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// What a step may do to the times of what it touches, beside what the
// reference shows.
enum class Times {
  exact,    // a time changes here exactly when it changes there
  unknown,  // when they change is up to the file system: a mapping was written
};

// A kind of operation: everything about it stands in one place.
struct OperationKind {
  const char* name;
  unsigned weight;  // how often, against the others
  void (*fill)(Dice&, const Geometry&, Operation&);
  Outcome (*perform)(Side&, const Operation&);
  std::string (*describe)(const Operation&);
  // What both sides must support; if one does not, see feature.h.
  std::optional<Feature> (*needs)(const Operation&) = nullptr;
  Times times = Times::exact;
};

struct Operation {
  const OperationKind* kind = nullptr;
  bool uses_slot = false;  // and its paths are empty; otherwise `path` is used
  std::size_t slot = 0;
  std::size_t other_slot = 0;
  std::string path;
  std::string other_path;
  std::uint64_t offset = 0;
  std::uint64_t other_offset = 0;
  std::uint64_t length = 0;
  int flags = 0;  // of open, rename, fallocate, ...
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::int64_t access_ns = 0;  // since 1970; tv_nsec may be UTIME_NOW, UTIME_OMIT
  std::int64_t modify_ns = 0;
  std::string name;         // of an extended attribute, or a link's target
  std::uint64_t seed = 0;   // of the bytes that are written, or of further dice
};

// The families of operations, one source file each.
std::span<const OperationKind> descriptor_operations();
std::span<const OperationKind> content_operations();
std::span<const OperationKind> range_operations();
std::span<const OperationKind> name_operations();
std::span<const OperationKind> attribute_operations();
std::span<const OperationKind> directory_operations();

// The operation that `seed` has at `step`.
Operation operation_at(std::uint64_t seed, std::uint64_t step, const Geometry& geometry);
std::string to_text(const Operation& operation);

}  // namespace dfs::model
