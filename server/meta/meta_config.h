// The settings of a metadata server.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "common/base/config_file.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "server/meta/sessions/lease_table.h"
#include "server/meta/sessions/lock_table.h"

namespace dfs {

inline constexpr std::uint32_t kReplicasDefault = 3;
inline constexpr std::uint32_t kReplicasMax = 16;
inline constexpr std::uint32_t kChunkSizeMin = kBlockSize;

struct MetaConfig {
  std::filesystem::path data_directory;  // required
  std::string listen_address = "127.0.0.1:7300";  // a unix socket stands beside it

  // Of a new cluster; unset: 3 and 8 MiB. A cluster that exists is never
  // changed by these: other values are refused.
  std::optional<std::uint32_t> replicas;
  std::optional<std::uint64_t> chunk_size;  // bytes, a multiple of kBlockSize

  std::uint64_t block_cache_bytes = 128 * MiB;  // rows as RocksDB has them
  std::uint64_t inode_cache_bytes = 96 * MiB;   // decoded, about 300,000 inodes
  std::uint64_t name_cache_bytes = 64 * MiB;    // decoded, about 400,000 names

  std::size_t queue_max = 16'384;       // requests waiting for the core; more are `overloaded`
  std::size_t batch_max = 256;          // requests that are committed together
  std::size_t outstanding_max = 4'096;  // requests of one session without an answer
  std::size_t sessions_max = 4'096;
  std::size_t servers_max = 1'024;
  std::size_t held_max = 1'000'000;     // inodes that one session holds open
  std::size_t locks_max = 16'384;       // ranges that one session has locked; more are ENOLCK
  // Requests that wait for a lock: of one session, and on one inode. Those of
  // a session count as without an answer, hence at most half of these.
  std::size_t lock_waits_max = 1'024;
  LockLimits lock_limits() const;
  // What one session may rely on at once; it is asked for what it has not used for
  // longest before that. A hello lists them all (kLeasesPerHelloMax).
  std::size_t leases_max = 200'000;
  // Requests that wait for what other sessions are to give back, of all
  // sessions; of one at most a quarter of outstanding_max, so that its answers to
  // recalls are still read. More are `overloaded`.
  std::size_t lease_waits_max = 16'384;
  LeaseLimits lease_limits() const;

  // Of the disk, above what the store itself keeps (a sixteenth, at most 256
  // MiB): the namespace does not grow into it, so that deletions still can be
  // recorded, about a million of them.
  std::uint64_t reserved_bytes = 256 * MiB;

  // What power loss may take from the end of what was not fsynced.
  std::chrono::milliseconds sync_interval{500};
  std::chrono::milliseconds heartbeat_interval{3'000};
  std::chrono::milliseconds server_silence_max{30'000};  // then it counts as dead
  std::chrono::milliseconds server_out_after{600'000};   // then others take its place
  // What a client uploads it names in a commit within seconds, unless its machine
  // sleeps or the metadata server's disk is full. Chunk ids that no file names
  // after this time are given up: their bytes are reclaimed, and no commit may
  // name them any more.
  std::chrono::milliseconds late_commit_max{86'400'000};
  // How long each part of a server's list waits when lists are only compared
  // to be sure; a part is 1,024 chunks. And how often that begins.
  std::chrono::milliseconds compare_pause{1'000};
  std::chrono::milliseconds compare_interval{86'400'000};
  // Memberships of full servers move to less full ones, while nothing is in
  // danger; so long after the last such move.
  bool balance = true;
  std::chrono::milliseconds balance_pause{60'000};
  std::chrono::milliseconds session_timeout{60'000};     // disconnected for longer: ended
  // How long a session may take to give back a lease that somebody waits for;
  // then it is ended.
  std::chrono::milliseconds lease_time{20'000};
  // An inode without names is kept this long although nobody said that it is
  // open: another session's open may be on its way.
  std::chrono::milliseconds orphan_grace{3'000};
  // The same after a start, when sessions have yet to come back.
  std::chrono::milliseconds restart_grace{30'000};

  // Names the first thing wrong, in words an operator can act on.
  Result<void> validate() const;
  // Reads what `file` sets over the defaults.
  Result<void> read(ConfigFile& file);
};

}  // namespace dfs
