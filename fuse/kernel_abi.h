// The kernel's FUSE protocol as we speak it: <linux/fuse.h> plus what newer
// kernels know and the installed header does not.
//
// Numbers: Linux, include/uapi/linux/fuse.h.
#pragma once

#include <linux/fuse.h>

#include <cstdint>

namespace dfs::kernel {

// Request (protocol 7.39): attributes with the time of birth. Its body begins
// as fuse_getattr_in does.
inline constexpr std::uint32_t kStatx = 52;

struct StatxTime {
  std::int64_t seconds;
  std::uint32_t nanoseconds;
  std::int32_t reserved;
};
struct Statx {
  std::uint32_t mask;  // STATX_*: what is told
  std::uint32_t blksize;
  std::uint64_t attributes;
  std::uint32_t nlink;
  std::uint32_t uid;
  std::uint32_t gid;
  std::uint16_t mode;  // with the type
  std::uint16_t spare0;
  std::uint64_t ino;
  std::uint64_t size;
  std::uint64_t blocks;
  std::uint64_t attributes_mask;
  StatxTime atime;
  StatxTime btime;
  StatxTime ctime;
  StatxTime mtime;
  std::uint32_t rdev_major;
  std::uint32_t rdev_minor;
  std::uint32_t dev_major;
  std::uint32_t dev_minor;
  std::uint64_t spare2[14];
};
struct StatxOut {
  std::uint64_t attr_valid;  // seconds
  std::uint32_t attr_valid_nsec;
  std::uint32_t flags;
  std::uint64_t spare[2];
  Statx stat;
};
static_assert(sizeof(StatxOut) == 288);

// Init flag (protocol 7.39): what is opened with FOPEN_DIRECT_IO can be mapped.
inline constexpr std::uint64_t kDirectIoAllowMmap = std::uint64_t{1} << 36;

// Init flag and notification (protocol 7.40): every request that was read and not
// answered comes again, with this bit in its `unique`.
inline constexpr std::uint64_t kHasResend = std::uint64_t{1} << 39;
inline constexpr int kNotifyResend = 7;
inline constexpr std::uint64_t kUniqueResend = std::uint64_t{1} << 63;

// Notification (protocol 7.44): every cached name is asked for again.
inline constexpr int kNotifyIncrementEpoch = 8;
inline constexpr std::uint32_t kMinorWithIncrementEpoch = 44;

}  // namespace dfs::kernel
