#include "server/meta/store/tables.h"

#include <fmt/format.h>

namespace dfs::detail {

Error row_is_corrupt(std::string_view table, std::string_view raw_key) {
  return {Errc::corrupt,
          fmt::format("the {} record at key {} does not hold", table, keys::for_people(raw_key))};
}

}  // namespace dfs::detail
