// Servers of these tests put their unix sockets into a directory of their own.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/temporary_directory.h"

namespace dfs {
namespace {

class RunDirectory final : public testing::Environment {
 public:
  void SetUp() override { ::setenv("DFS_RUN_DIRECTORY", directory_.path().c_str(), 1); }

 private:
  TemporaryDirectory directory_;
};

const auto* const kRegistered = testing::AddGlobalTestEnvironment(new RunDirectory);

}  // namespace
}  // namespace dfs
