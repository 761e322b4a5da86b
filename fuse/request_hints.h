// What a request says and libfuse 3.14 does not pass on.
#pragma once

#include "common/base/bytes.h"

namespace dfs::fuse {

struct RequestHints {
  // The caller may not keep set-id bits: a write or a truncating open of theirs
  // drops them (FUSE_HANDLE_KILLPRIV_V2).
  bool kill_set_id = false;
};

RequestHints hints_of(BufferView request);

// The hints of the request that this thread is serving.
void set_current_hints(RequestHints hints);
RequestHints current_hints();

}  // namespace dfs::fuse
