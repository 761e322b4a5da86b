#include "tests/history/early_reads.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

namespace dfs::history {
namespace {

std::string mount_of(const Operation& operation) { return operation.client.substr(0, operation.client.find('.')); }

using Written = std::tuple<std::string, std::string, std::string>;  // mount, object, value

}  // namespace

std::vector<Operation> without_early_reads(std::vector<Operation> history) {
  std::map<Written, std::int64_t> returned;
  for (const Operation& operation : history)
    if (operation.kind == Kind::write || operation.kind == Kind::append)
      returned[{mount_of(operation), operation.object, operation.value}] = operation.ended.value_or(INT64_MAX);

  const auto shows_early = [&](const Operation& read, const std::string& value) {
    const auto write = returned.find({mount_of(read), read.object, value});
    return write != returned.end() && read.begun < write->second;
  };
  std::erase_if(history, [&](const Operation& operation) {
    if (operation.kind == Kind::read) return shows_early(operation, operation.value);
    return operation.kind == Kind::read_log &&
           std::ranges::any_of(operation.values, [&](const auto& value) { return shows_early(operation, value); });
  });
  return history;
}

}  // namespace dfs::history
