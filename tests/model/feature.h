// What a file system may or may not support, found out by trying.
//
// A feature that both sides support is compared like anything else. One that
// only one side supports must stand in the list of refusals, with the reason;
// then that side is not asked, and the other is watched to go on refusing.
// Nothing is left out silently: `describe` says what was found.
#pragma once

#include <array>
#include <string>

#include "common/base/result.h"

namespace dfs::model {

class Side;

enum class Feature {
  allocate,         // fallocate, mode 0
  allocate_keep,    // FALLOC_FL_KEEP_SIZE
  punch_hole,       // FALLOC_FL_PUNCH_HOLE
  zero_range,       // FALLOC_FL_ZERO_RANGE
  zero_range_keep,  // with FALLOC_FL_KEEP_SIZE
  collapse_range,   // FALLOC_FL_COLLAPSE_RANGE
  insert_range,     // FALLOC_FL_INSERT_RANGE
  copy_file_range,
  rename_noreplace,  // RENAME_NOREPLACE
  rename_exchange,   // RENAME_EXCHANGE
  user_xattrs,
  trusted_xattrs,
  direct_open,  // O_DIRECT; of the mount alone, the reference is never asked
  temporary_open,    // O_TMPFILE
  count,
};
inline constexpr std::size_t kFeatures = static_cast<std::size_t>(Feature::count);

const char* name_of(Feature feature);

// errno of a try, 0: supported.
using Probed = std::array<int, kFeatures>;
Result<Probed> probe(const Side& side);

struct Features {
  Probed reference{};
  Probed mount{};

  bool on_both(Feature feature) const;
  bool refused_by_mount_only(Feature feature) const;
  // Fails if the mount refuses what no row of the list lets it refuse.
  Result<void> check() const;
  // One line for each feature that is not compared: who refuses it, and why that is allowed.
  std::string describe() const;
};

}  // namespace dfs::model
