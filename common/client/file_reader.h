// Reads a file: bytes written here over committed extents over holes.
//
// Threads: any.
#pragma once

#include <vector>

#include "common/client/chunk_reader.h"
#include "common/client/open_file.h"

namespace dfs {

class FileReader {
 public:
  struct Parts {
    MetaClient& meta;
    ChunkReader& chunks;
    const Clock& clock;
    const ClientConfig& config;
  };
  explicit FileReader(const Parts& parts) : parts_(parts) {}

  // As FileSystem::read.
  Result<std::size_t> read(OpenFile& file, std::uint64_t offset, MutableBuffer into,
                           Interrupt* interrupt);
  // The same without read-ahead, for the engine's own use.
  Result<std::size_t> read(InodeState& state, std::uint64_t offset, MutableBuffer into,
                           Interrupt* interrupt);

 private:
  struct Plan {
    std::size_t length = 0;            // bytes to deliver
    std::vector<ChunkSlice> wanted;    // what has to come from chunks
    std::vector<ChunkSlice> ahead;
  };
  Result<std::size_t> read(InodeState& state, OpenFile* file, std::uint64_t offset,
                           MutableBuffer into, Interrupt* interrupt);
  Result<Plan> plan(InodeState& state, OpenFile* file, std::uint64_t offset, MutableBuffer into,
                    Interrupt* interrupt);
  // After a chunk could not be had: are these still the file's chunks?
  Result<bool> still_the_same(InodeState& state, std::uint64_t offset, std::size_t length,
                              const std::vector<ChunkSlice>& wanted, Interrupt* interrupt);

  const Parts parts_;
};

}  // namespace dfs
