// What a registered server is: of which cluster, under which number.
#pragma once

#include <string>

#include "common/base/ids.h"

namespace dfs::storage {

struct Membership {
  std::string cluster;
  ServerId server;
};

}  // namespace dfs::storage
