// Where operations happen: few names, so that they meet, and offsets near the
// borders at which files are cut.
#pragma once

#include <string>

#include "tests/model/operation.h"

namespace dfs::model {

// The directory with many entries that listings are tried on.
inline constexpr const char* kCrowd = "crowd";

enum class Wanted { file, directory };
// A path below the side's directory, most likely one of what is wanted.
std::string any_path(Dice& dice, Wanted wanted);
// "" for what lies at the top.
std::string parent_of(const std::string& path);

std::uint64_t any_offset(Dice& dice, const Geometry& geometry);
// Such that offset + length stays within the longest file.
std::uint64_t any_length(Dice& dice, const Geometry& geometry, std::uint64_t offset);

}  // namespace dfs::model
