// The group table of the metadata double.
#pragma once

#include <memory>
#include <vector>

#include "common/rpc/types.h"

namespace dfs {

// Groups are numbered from 1 in the order of `groups`, which say their servers.
inline GroupTablePtr fake_group_table(const std::vector<std::vector<std::uint32_t>>& groups) {
  auto table = std::make_shared<GroupTable>();
  table->version = 1;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    Group group;
    group.group = GroupId{static_cast<std::uint32_t>(i + 1)};
    group.epoch = Epoch{1};
    for (const std::uint32_t id : groups[i]) {
      group.members.push_back({ServerId{id}, MemberState::active});
      ServerInfo info;
      info.server = ServerId{id};
      info.alive = true;
      table->servers[ServerId{id}] = info;
    }
    table->groups[group.group] = group;
  }
  return table;
}

}  // namespace dfs
