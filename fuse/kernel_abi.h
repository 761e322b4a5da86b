// The kernel's FUSE protocol as we speak it: <linux/fuse.h> plus what newer
// kernels know and the installed header does not.
//
// Numbers: Linux, include/uapi/linux/fuse.h.
#pragma once

#include <linux/fuse.h>

#include <cstdint>

namespace dfs::kernel {

// Notification (protocol 7.44): every cached name is asked for again.
inline constexpr int kNotifyIncrementEpoch = 8;
inline constexpr std::uint32_t kMinorWithIncrementEpoch = 44;

}  // namespace dfs::kernel
