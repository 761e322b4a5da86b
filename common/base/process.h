// What a program asks of, and tells, the machine it runs on.
// Threads: any, unless a function says otherwise.
#pragma once

#include <string>

#include "common/base/result.h"

namespace dfs {

// Tells malloc to keep and reuse buffers of megabytes instead of mapping and
// unmapping them, which costs a page fault for every 4 KiB of every transfer.
// Free memory that malloc may keep for this: kMallocKeptBytes at the top of
// each of at most kMallocArenas heaps. Call first in main(), before threads start.
void tune_malloc();
inline constexpr int kMallocKeptBytes = 32 << 20;
inline constexpr int kMallocArenas = 4;

// The kernel's boot id: equal for two processes exactly when they run on the
// same machine since the same start. Empty if the kernel does not tell.
std::string machine_id();

// The machine's name, "localhost" if it has none.
std::string host_name();

// "0.1.0"
std::string version();

// Writes "ready\n" to `fd` and closes it: how a server tells whoever started
// it that it can be talked to. An `fd` below 0 means nobody asked.
Result<void> announce_ready(int fd);

// Lifts the limit of open descriptors as far as this process may.
Result<void> raise_descriptor_limit();

}  // namespace dfs
