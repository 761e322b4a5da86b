#include "common/client/data_ranges.h"

#include <algorithm>

namespace dfs {

std::uint64_t DataRanges::next_data(std::uint64_t from, std::uint64_t end) const {
  std::uint64_t first = end;
  if (const auto dirty = dirty_.next(from)) first = std::min(first, dirty->offset);
  if (const auto extent = extents_.next(from)) first = std::min(first, extent->offset);
  return first;
}

std::uint64_t DataRanges::next_hole(std::uint64_t from, std::uint64_t end) const {
  // Ranges of one kind may go on where those of the other end.
  for (std::uint64_t at = from; at < end;) {
    std::uint64_t data_until = at;
    if (const auto dirty = dirty_.next(at); dirty && dirty->offset == at) data_until = dirty->end();
    if (const auto extent = extents_.next(at); extent && extent->offset == at) {
      data_until = std::max(data_until, extent->end());
    }
    if (data_until == at) return at;
    at = data_until;
  }
  return end;
}

std::uint64_t DataRanges::bytes(std::uint64_t from, std::uint64_t end) const {
  std::uint64_t total = 0;
  for (std::uint64_t at = next_data(from, end); at < end;) {
    const std::uint64_t hole = next_hole(at, end);
    total += hole - at;
    at = next_data(hole, end);
  }
  return total;
}

}  // namespace dfs
