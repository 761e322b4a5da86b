// The attribute by which people see and set what mounts may assume of an inode
// that others use too (Consistency in types.h), and its values.
//
// It is part of the inode: always there, not listed, no row of its own.
#pragma once

#include <optional>
#include <string_view>

#include "common/rpc/types.h"

namespace dfs {

inline constexpr std::string_view kConsistencyName = "dfs.consistency";

inline constexpr std::string_view name_of(Consistency consistency) {
  switch (consistency) {
    case Consistency::strict: return "strict";
    case Consistency::close_to_open: return "close-to-open";
    case Consistency::relaxed: return "relaxed";
  }
  return "unknown";
}

// Empty: no such value.
inline constexpr std::optional<Consistency> consistency_named(std::string_view name) {
  for (const Consistency each :
       {Consistency::strict, Consistency::close_to_open, Consistency::relaxed}) {
    if (name == name_of(each)) return each;
  }
  return std::nullopt;
}

}  // namespace dfs
