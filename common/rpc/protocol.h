// Numbers both ends of a connection agree on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/ids.h"

namespace dfs {

// Raised when an older peer would misunderstand; peers that differ refuse
// each other with `wrong_version`.
inline constexpr std::uint32_t kProtocolVersion = 6;

// Chunk bytes in one frame of Put or Get: at most this, a multiple of kBlockSize.
inline constexpr std::uint32_t kFrameBytesMax = 1 * MiB;
// What a receiver accepts as one message; more ends the stream.
inline constexpr std::size_t kMessageBytesMax = 4 * MiB;
// Limits of one ClientFrame and of single requests.
inline constexpr std::size_t kRequestsPerFrameMax = 1024;
inline constexpr std::size_t kExtentsPerCommitMax = 16384;
inline constexpr std::uint32_t kExtentsPerReplyMax = 8192;
inline constexpr std::uint32_t kEntriesPerReplyMax = 2048;
inline constexpr std::uint32_t kChunksPerAllocationMax = 4096;
inline constexpr std::size_t kAccessTimesPerTouchMax = 1024;
inline constexpr std::size_t kRangesPerGetMax = 1024;
// Of one answer about repair, and of one part of a server's list.
inline constexpr std::size_t kCopiesPerAnswerMax = 1024;
inline constexpr std::uint32_t kListedChunksMax = 4096;
// Sessions of a cluster, whatever its settings: a heartbeat's answer lists them.
inline constexpr std::size_t kSessionsMax = 100'000;
inline constexpr std::size_t kLeasesPerReturnMax = 4096;
// What a hello of a session that comes back may list, of each kind.
inline constexpr std::size_t kLeasesPerHelloMax = 262'144;

}  // namespace dfs
