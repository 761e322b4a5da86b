// Which names are names.
#pragma once

#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace dfs::ops {

inline bool is_dots(std::string_view name) { return name == "." || name == ".."; }

//   name_too_long, invalid (empty, or with '/' or NUL)
Result<void> check_name(std::string_view name);

}  // namespace dfs::ops
