#include "server/meta/backup/leap.h"

#include <algorithm>

namespace dfs {
namespace {

constexpr WallNanos kSecond = 1'000'000'000;

// Beyond what one core can do: 2^17 operations a second, and of each group's
// 2^40 ids 2^14 a second (a state of two years ago leaves half of them).
constexpr std::uint64_t kInodesASecond = 1 << 17;
constexpr std::uint64_t kChunksASecond = 1 << 14;
constexpr std::uint64_t kChangesASecond = 1 << 20;
constexpr std::uint64_t kSessionsASecond = 1 << 10;
constexpr std::uint64_t kEpochsASecond = 1 << 4;
constexpr std::uint64_t kVersionsASecond = 1 << 8;
constexpr std::uint64_t kRareSeconds = 64;  // starts, servers, groups

}  // namespace

Result<Leap> Leap::since(WallNanos state_of, WallNanos now) {
  if (now < state_of)
    return fail(Errc::invalid,
                "this machine's clock stands before the moment that the backup is of: set it right "
                "first, for what was given out since is reckoned from the time that has passed");
  return Leap(static_cast<std::uint64_t>((now - state_of) / kSecond) + 1);
}

void Leap::apply(ClusterRecord& record) const {
  record.next_inode = InodeId{record.next_inode.value() + jump(1ull << 32, kInodesASecond)};
  record.generation += jump(1ull << 32, kInodesASecond);
  record.next_session = SessionId{record.next_session.value() + jump(1 << 20, kSessionsASecond)};
  record.next_server = ServerId{static_cast<std::uint32_t>(record.next_server.value() +
                                                           rare_jump(1 << 10, kRareSeconds))};
  // 2^24 groups there can be, 16 for each server.
  record.next_group = GroupId{static_cast<std::uint32_t>(record.next_group.value() +
                                                         rare_jump(1 << 14, kRareSeconds))};
  record.group_table_version += jump(1 << 20, kVersionsASecond);
  record.starts += rare_jump(1 << 12, kRareSeconds);
}

void Leap::apply(GroupRecord& record) const {
  record.epoch = Epoch{record.epoch.value() + jump(1 << 16, kEpochsASecond)};
  record.next_chunk =
      std::min(record.next_chunk + jump(1ull << 28, kChunksASecond), ChunkId::kSerialMax + 1);
}

void Leap::apply(InodeRecord& record) const {
  record.change += jump(1ull << 32, kChangesASecond);
  record.data_change += jump(1ull << 32, kChangesASecond);
}

}  // namespace dfs
