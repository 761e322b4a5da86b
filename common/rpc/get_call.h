// One get under way: parts are copied to where they belong and verified there.
// For grpc_storage_client.cc only.
//
// Threads: take_part() and finish() on the completion loop only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/rpc/storage_client.h"
#include "common/rpc/storage_messages.h"

namespace dfs {

class GetCall {
 public:
  using Done = std::function<void(std::vector<Result<void>>)>;

  GetCall(std::vector<GetArgs> ranges, Done done);

  GetQuestion question(std::uint64_t id) const;

  // Copies and verifies one part. `bad_message` if it is no part of what was asked.
  Result<void> take_part(const GetPart& part, const FramePayload& payload);

  // Calls `done`: a range that is neither complete nor failed gets `why`.
  void finish(const Error& why);

  SteadyTime last_progress{};

 private:
  struct Progress {
    std::uint32_t received = 0;
    bool failed = false;
    Error error;
  };

  const std::vector<GetArgs> ranges_;
  std::vector<Progress> progress_;
  Done done_;
};
using GetCallPtr = std::shared_ptr<GetCall>;

}  // namespace dfs
