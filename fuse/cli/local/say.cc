#include "fuse/cli/local/say.h"

#include <cstdio>

#include "fuse/cli/output.h"

namespace dfs::cli {

LocalCluster::Say say_to_people(bool stdout_is_json) {
  return [stdout_is_json](const std::string& line) {
    std::FILE* stream = stdout_is_json ? stderr : stdout;
    std::fprintf(stream, "%s\n", escaped(line).c_str());
    std::fflush(stream);
  };
}

}  // namespace dfs::cli
