#include "server/meta/meta_config.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/address.h"
#include "common/rpc/protocol.h"

namespace dfs {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kCacheBytesMin = 8 * MiB;
constexpr std::uint64_t kCacheBytesMax = 64 * GiB;
constexpr std::uint64_t kReserveMin = 1 * MiB;
constexpr std::uint64_t kReserveMax = 1 * TiB;
// Fewer would be asked back while they are used.
constexpr std::uint64_t kLeasesMin = 1'024;
// A session may have a sixteenth more for a while, and lists them all when it comes back.
constexpr std::uint64_t kLeasesMax = 240'000;
static_assert(kLeasesMax + kLeasesMax / 16 <= kLeasesPerHelloMax);

Result<void> check_range(std::string_view what, std::uint64_t value, std::uint64_t least,
                         std::uint64_t most) {
  if (value >= least && value <= most) return {};
  return fail(Errc::invalid,
              fmt::format("{} is {}; it must be from {} to {}", what, value, least, most));
}

// Counts are std::size_t here and 64 bits in a file.
Result<void> read_count(ConfigFile& file, std::string_view key, std::size_t& value,
                        std::uint64_t least, std::uint64_t most) {
  std::uint64_t count = value;
  TRY(file.read(key, count, least, most));
  value = static_cast<std::size_t>(count);
  return {};
}

}  // namespace

Result<void> MetaConfig::validate() const {
  if (data_directory.empty())
    return fail(Errc::invalid, "no data directory is given: say --data DIR");
  const Address listen = TRY(parse_address(listen_address, AddressUse::listen));
  if (listen.is_unix())
    return fail(Errc::invalid, fmt::format("{} is not HOST:PORT; a unix socket is made beside it",
                                           listen_address));
  if (replicas) TRY(check_range("the number of replicas", *replicas, 1, kReplicasMax));
  if (chunk_size) {
    TRY(check_range("the chunk size", *chunk_size, kChunkSizeMin, kChunkSizeMax));
    if (*chunk_size % kBlockSize != 0)
      return fail(Errc::invalid, fmt::format("the chunk size is {}; it must be a multiple of {}",
                                             *chunk_size, format_size(kBlockSize)));
  }
  TRY(check_range("the reserve", reserved_bytes, kReserveMin, kReserveMax));
  TRY(check_range("the longest queue", queue_max, 1, 1'000'000));
  TRY(check_range("the largest batch", batch_max, 1, 4'096));
  TRY(check_range("the number of leases of a session", leases_max, kLeasesMin, kLeasesMax));
  if (server_silence_max < 2 * heartbeat_interval)
    return fail(Errc::invalid,
                fmt::format("a storage server may be silent for {} ms, which is less than two "
                            "heartbeats of {} ms: it would be declared dead by chance",
                            server_silence_max.count(), heartbeat_interval.count()));
  if (server_out_after < server_silence_max)
    return fail(Errc::invalid,
                fmt::format("a storage server would be replaced after {} ms of silence, before it "
                            "counts as dead after {} ms",
                            server_out_after.count(), server_silence_max.count()));
  return {};
}

LockLimits MetaConfig::lock_limits() const {
  return {.locks_per_session_max = locks_max,
          .waits_per_session_max = std::max<std::size_t>(
              1, std::min(lock_waits_max, outstanding_max / 2)),
          .waits_per_inode_max = lock_waits_max};
}

LeaseLimits MetaConfig::lease_limits() const {
  return {.leases_per_session_max = leases_max,
          .waits_max = lease_waits_max,
          .waits_per_session_max = std::max<std::size_t>(1, outstanding_max / 4),
          .lease_time = lease_time};
}

Result<void> MetaConfig::read(ConfigFile& file) {
  TRY(file.read("data", data_directory));
  TRY(file.read("listen", listen_address));
  std::uint32_t replicas_value = replicas.value_or(0);
  TRY(file.read("replicas", replicas_value, 1, kReplicasMax));
  if (replicas_value != 0) replicas = replicas_value;
  std::uint64_t chunk_size_value = chunk_size.value_or(0);
  TRY(file.read_size("chunk_size", chunk_size_value, kChunkSizeMin, kChunkSizeMax));
  if (chunk_size_value != 0) chunk_size = chunk_size_value;

  TRY(file.read_size("block_cache_size", block_cache_bytes, kCacheBytesMin, kCacheBytesMax));
  TRY(file.read_size("inode_cache_size", inode_cache_bytes, kCacheBytesMin, kCacheBytesMax));
  TRY(file.read_size("name_cache_size", name_cache_bytes, kCacheBytesMin, kCacheBytesMax));
  TRY(file.read_size("reserve", reserved_bytes, kReserveMin, kReserveMax));
  TRY(read_count(file, "queue_max", queue_max, 1, 1'000'000));
  TRY(read_count(file, "batch_max", batch_max, 1, 4'096));
  TRY(read_count(file, "outstanding_max", outstanding_max, 1, 1'000'000));
  TRY(read_count(file, "sessions_max", sessions_max, 1, kSessionsMax));
  TRY(read_count(file, "servers_max", servers_max, 1, 10'000));
  TRY(read_count(file, "held_max", held_max, 1, 100'000'000));
  TRY(read_count(file, "locks_max", locks_max, 2, 65'536));
  TRY(read_count(file, "lock_waits_max", lock_waits_max, 1, 65'536));
  TRY(read_count(file, "leases_max", leases_max, kLeasesMin, kLeasesMax));
  TRY(read_count(file, "lease_waits_max", lease_waits_max, 1, 1'000'000));

  TRY(file.read("sync_interval_ms", sync_interval, milliseconds{10}, milliseconds{1'000}));
  TRY(file.read("heartbeat_interval_ms", heartbeat_interval, milliseconds{100},
                milliseconds{60'000}));
  TRY(file.read("server_silence_max_ms", server_silence_max, milliseconds{200},
                milliseconds{3'600'000}));
  TRY(file.read("server_out_after_ms", server_out_after, milliseconds{200},
                milliseconds{31 * 86'400'000LL}));
  TRY(file.read("late_commit_max_ms", late_commit_max, milliseconds{1'000},
                milliseconds{366 * 86'400'000LL}));
  TRY(file.read("compare_pause_ms", compare_pause, milliseconds{0}, milliseconds{3'600'000}));
  TRY(file.read("compare_interval_ms", compare_interval, milliseconds{1'000},
                milliseconds{366 * 86'400'000LL}));
  TRY(file.read("balance", balance));
  TRY(file.read("balance_pause_ms", balance_pause, milliseconds{100}, milliseconds{86'400'000}));
  TRY(file.read("session_timeout_ms", session_timeout, milliseconds{1'000},
                milliseconds{86'400'000}));
  TRY(file.read("lease_time_ms", lease_time, milliseconds{100}, milliseconds{600'000}));
  TRY(file.read("orphan_grace_ms", orphan_grace, milliseconds{0}, milliseconds{600'000}));
  TRY(file.read("restart_grace_ms", restart_grace, milliseconds{0}, milliseconds{3'600'000}));
  return {};
}

}  // namespace dfs
