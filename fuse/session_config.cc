#include "fuse/session_config.h"

#include <fmt/format.h>

namespace dfs::fuse {
namespace {

template <typename T>
Result<void> within(const char* name, T value, T least, T most) {
  if (least <= value && value <= most) return {};
  return fail(Errc::invalid,
              fmt::format("{}: {} is not between {} and {}", name, value, least, most));
}

}  // namespace

Result<void> SessionConfig::validate() const {
  TRY(within<std::int64_t>("attr_timeout", attribute_timeout.count(), 0, 86'400'000));
  TRY(within<std::int64_t>("entry_timeout", entry_timeout.count(), 0, 86'400'000));
  TRY(within<std::uint64_t>("readahead", read_ahead_bytes, 0, 1 * GiB));
  TRY(within<unsigned>("threads", threads_max, 1, 1024));
  TRY(within<unsigned>("threads_min", threads_min, 1, threads_max));
  TRY(within<std::int64_t>("spin", spin.count(), 0, 10'000));
  TRY(within<std::size_t>("backlog_max", backlog_max, 1, 1'000'000));
  TRY(within<unsigned>("background_max", background_max, 1, 65'535));
  TRY(within<std::size_t>("notifications_max", notifications_max, 1, 1'000'000));
  return {};
}

}  // namespace dfs::fuse
