// Which storage servers did not answer lately, and in which order to ask the
// members of a group.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/rpc/types.h"

namespace dfs {

class ServerHealth {
 public:
  explicit ServerHealth(const Clock& clock);

  // A call to it failed: it is asked last for a while.
  void failed(ServerId server);
  void answered(ServerId server);
  bool suspect(ServerId server) const;

  // Members that hold the group's chunks, the best to read from first: active
  // before joining and leaving, answering before silent, this machine before
  // others; equals rotate with `turn`. Empty if the group is unknown.
  std::vector<ServerId> read_order(const GroupTable& table, GroupId group,
                                   std::uint64_t turn) const;
  // Members that get new chunks, the best to upload to first.
  std::vector<ServerId> write_order(const GroupTable& table, GroupId group,
                                    std::uint64_t turn) const;

 private:
  enum class Purpose { reading, writing };
  std::vector<ServerId> order(const GroupTable& table, GroupId group, std::uint64_t turn,
                              Purpose purpose) const;

  const Clock& clock_;
  const std::string machine_;  // boot id of this one
  Guarded<std::map<ServerId, SteadyTime>> failed_at_;
};

}  // namespace dfs
