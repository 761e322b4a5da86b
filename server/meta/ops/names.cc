#include "server/meta/ops/names.h"

namespace dfs::ops {

Result<void> check_name(std::string_view name) {
  if (name.size() > kNameMax) return fail(Errc::name_too_long);
  if (name.empty()) return fail(Errc::invalid, "a name is empty");
  constexpr std::string_view kForbidden("/\0", 2);
  if (name.find_first_of(kForbidden) != std::string_view::npos)
    return fail(Errc::invalid, "a name contains '/' or NUL");
  return {};
}

}  // namespace dfs::ops
