// The way back to one client: where the core puts the answers to what came
// over one stream.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/rpc/meta_api.h"
#include "common/rpc/types.h"

namespace dfs {

struct CoreReply {
  std::uint64_t id = 0;  // of the request it answers
  Result<MetaResult> result;
  std::uint64_t lease_order = 0;  // of the leases in the result
  std::uint64_t change = 0;       // of a mutation that succeeded: as v1::Response has it
};

// Threads: any, several at once. No call blocks or calls back into the core.
// Shared by the stream and the requests of it that are still under way.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  // Answers that became ready together; one message for all is best.
  virtual void deliver(std::vector<CoreReply> replies) = 0;
  virtual void group_table_changed(const GroupTablePtr& table) = 0;
  // The session is asked for leases.
  virtual void recall(const LeaseRecall& recall) = 0;
  // The session is over, or goes on over another stream: nothing follows.
  virtual void end(const Error& why) = 0;
};

}  // namespace dfs
