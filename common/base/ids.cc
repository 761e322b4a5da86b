#include "common/base/ids.h"

#include <cinttypes>
#include <cstdio>

namespace dfs {

std::string to_string(ChunkId chunk) {
  char text[40];
  std::snprintf(text, sizeof text, "g%" PRIu32 "-%010" PRIx64, chunk.group().value(),
                chunk.serial());
  return text;
}

}  // namespace dfs
