// Everything below a directory as text, so that two trees can be compared and
// their first difference shown.
#pragma once

#include <map>
#include <string>

#include "tests/model/side.h"

namespace dfs::model {

// Per path: what stat(2), readlink(2), the attributes and the bytes say. Which
// names are links to one file is part of it.
using Tree = std::map<std::string, std::string>;
Tree tree_of(const Side& side);

// The first path at which they differ, with both texts; empty if none does.
std::string first_difference(const Tree& reference, const Tree& mount);

}  // namespace dfs::model
