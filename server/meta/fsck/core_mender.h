// Mends a file system that is in use: each finding in a turn of the core of its
// own, as a batch through the log like every other change.
#pragma once

#include "server/meta/core/core.h"
#include "server/meta/fsck/rounds.h"

namespace dfs::fsck {

// Threads: one, which is not in the core.
class CoreMender final : public Mender {
 public:
  // `core` must outlive the mender, and be stopped after the last call.
  explicit CoreMender(Core& core) : core_(core) {}
  // Besides what mend() says: `unavailable`, the core has stopped.
  Result<std::optional<std::string>> mend(const Finding& finding) override;

 private:
  Core& core_;
};

}  // namespace dfs::fsck
