#include "common/client/client_config.h"

#include <fmt/format.h>

namespace dfs {
namespace {

// Below this a single large write, cut up as badly as can be, would not fit.
constexpr std::size_t kWriteBufferLeast = 4 * MiB;
constexpr std::size_t kReadCacheLeast = 4 * MiB;
constexpr std::size_t kMemoryMost = 1 * TiB;

Result<void> check(bool holds, std::string text) {
  if (holds) return {};
  return fail(Errc::invalid, std::move(text));
}

}  // namespace

Result<void> ClientConfig::validate() const {
  TRY(check(write_buffer_bytes >= kWriteBufferLeast && write_buffer_bytes <= kMemoryMost,
            fmt::format("write_buffer_bytes is {}; it must be at least {} (4 MiB) and at most 1 TiB",
                        write_buffer_bytes, kWriteBufferLeast)));
  TRY(check(read_cache_bytes >= kReadCacheLeast && read_cache_bytes <= kMemoryMost,
            fmt::format("read_cache_bytes is {}; it must be at least {} (4 MiB) and at most 1 TiB",
                        read_cache_bytes, kReadCacheLeast)));
  TRY(check(read_ahead_bytes_max <= read_cache_bytes / 4,
            fmt::format("read_ahead_bytes_max is {}; it must be at most a quarter of "
                        "read_cache_bytes ({})",
                        read_ahead_bytes_max, read_cache_bytes / 4)));
  TRY(check(uploads_max >= 1 && uploads_max <= 256,
            fmt::format("uploads_max is {}; it must be 1 to 256", uploads_max)));
  TRY(check(flush_interval.count() >= 1, "flush_interval must be at least 1 ms"));
  TRY(check(attribute_timeout.count() >= 0, "attribute_timeout must not be negative"));
  TRY(check(inodes_max >= 16, fmt::format("inodes_max is {}; it must be at least 16", inodes_max)));
  TRY(check(access_time_interval.count() >= 1, "access_time_interval must be at least 1 ms"));
  TRY(check(removed_inodes_max >= 1, "removed_inodes_max must be at least 1"));
  TRY(check(stat_fs_timeout.count() >= 1, "stat_fs_timeout must be at least 1 ms"));
  TRY(check(soft_timeout.count() >= 0, "soft_timeout must not be negative"));
  TRY(check(retry_pause_max.count() >= 20, "retry_pause_max must be at least 20 ms"));
  return {};
}

}  // namespace dfs
