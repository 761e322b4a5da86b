// Names and paths as users and kernels give them.
#include "common/base/ids.h"
#include "common/rpc/convert.h"
#include "fuse/cli/remote_path.h"
#include "server/meta/ops/names.h"
#include "tests/fuzz/input.h"

namespace dfs::fuzz {
namespace {

void run(std::string_view input) {
  // The door and the operations agree on what a name is.
  const auto by_operations = ops::check_name(input);
  const auto by_door = check_name(std::string(input));
  invariant(by_operations.has_value() == by_door.has_value() || ops::is_dots(input),
            "the door lets through what operations take");

  const auto names = cli::split_path(input);
  if (!names) return invariant(names.error().code == Errc::name_too_long, "only length is refused");
  std::string joined = "/";
  for (const std::string& name : *names) {
    invariant(!name.empty() && name.size() <= kNameMax && name.find('/') == std::string::npos,
              "a path is made of names");
    joined = cli::join_path(joined, name);
  }
  const auto again = cli::split_path(joined);
  invariant(joined.size() > input.size() + 1 || (again && *again == *names), "a path survives");
}

}  // namespace
}  // namespace dfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dfs::fuzz::run(dfs::fuzz::text_of(data, size));
  return 0;
}
