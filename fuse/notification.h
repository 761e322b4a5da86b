// Notifications: what is written to /dev/fuse unasked, to make the kernel forget.
//
// Each may wait for a lock in the kernel that a request in work holds, except as
// noted: so none is sent by a thread that serves requests.
// What the kernel does not cache is no error; others are logged.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/bytes.h"
#include "common/base/ids.h"

namespace dfs::fuse {

// Attributes alone; waits for nothing.
void notify_attributes(int device, InodeId inode);
// Attributes, and the pages in [offset, offset + length); length 0: to the end.
void notify_pages(int device, InodeId inode, std::uint64_t offset, std::uint64_t length);
// The file has these bytes; it ends where they do, or later.
void notify_store(int device, InodeId inode, std::uint64_t offset, BufferView bytes);
// One name, also if it was known to be absent.
void notify_entry(int device, InodeId parent, const std::string& name);
// What was read and not answered comes again; waits for nothing. Linux 6.9.
void notify_resend(int device);
// Every name is asked for again; waits for nothing. Linux 6.16.
void notify_all_names(int device);

}  // namespace dfs::fuse
