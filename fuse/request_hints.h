// What a request says and libfuse 3.14 does not pass on or does not understand.
#pragma once

#include <cstdint>

#include "common/base/bytes.h"

namespace dfs::fuse {

struct RequestHints {
  // Which request this is, whether it comes for the first time or again.
  std::uint64_t number = 0;
  // It was read before, by a process that did not come to answer it.
  bool is_repeated = false;
  // The caller may not keep set-id bits: a write or a truncating open of theirs
  // drops them (FUSE_HANDLE_KILLPRIV_V2).
  bool kill_set_id = false;
  // FUSE_SETXATTR_EXT: the ACL to be set goes to a group that is not the
  // caller's, and takes setgid with it.
  bool kill_set_gid = false;
  // FUSE_TMPFILE, read as FUSE_CREATE: the file gets no name.
  bool unnamed = false;
  // FUSE_STATX, read as FUSE_GETATTR: the answer has another form.
  bool statx = false;
};

// `agreed_flags`: those of FUSE_INIT, which say how requests look.
RequestHints hints_of(BufferView request, std::uint64_t agreed_flags);

// The request as libfuse reads it, made so in place: with FUSE_SETXATTR_EXT the
// kernel sends a longer form of FUSE_SETXATTR; FUSE_TMPFILE is FUSE_CREATE by
// another number, and FUSE_STATX begins as FUSE_GETATTR does. The hints are to be
// taken before, and none of these may be put off, which is to be served again.
MutableBuffer as_libfuse_reads(MutableBuffer request, std::uint64_t agreed_flags);

// The hints of the request that this thread is serving.
void set_current_hints(RequestHints hints);
RequestHints current_hints();

}  // namespace dfs::fuse
