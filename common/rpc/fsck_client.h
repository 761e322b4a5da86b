// The metadata server's FsckService, as the command line sees it.
//
// Calls block until answered, at most `timeout`; nothing is retried here.
//   unavailable, timed_out  no answer; the sentence names the address
//   busy                    another check is running
//   not_found               there is no such run (any more)
// Threads: any, but no handler of the completion loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace dfs {

inline constexpr std::size_t kFsckUsersOfMax = 65'536;   // chunks in one search
inline constexpr std::size_t kFsckListedMax = 4'096;     // chunks in one list

// A sentence about what was found. Names in it are raw bytes.
struct FsckReport {
  std::string text;
  std::string mended;      // what was done; empty: nothing
  std::string not_mended;  // why that failed
  bool mendable = false;   // a repair would do something
};
// Bytes of a file that lie in a chunk.
struct ChunkUse {
  ChunkId chunk;
  InodeId inode;
  std::string path;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

struct FsckBegin {
  bool repair = false;
  std::vector<ChunkId> users_of;  // ascending; none: the tables are checked
};
struct FsckPart {
  std::vector<FsckReport> reports;
  std::vector<ChunkUse> uses;
  std::uint64_t rows = 0;
  std::uint64_t inodes = 0;  // how much there is to do
  bool done = false;
  std::uint64_t mended = 0;  // when done
  std::uint64_t left = 0;
};
struct FsckGroup {
  std::uint32_t replicas = 0;
  std::vector<ServerId> members;
};
struct FsckChunks {
  std::vector<ChunkId> chunks;  // ascending; none: there are no more
  std::map<GroupId, FsckGroup> groups;
};

class FsckClient {
 public:
  virtual ~FsckClient() = default;
  virtual Result<std::uint64_t> begin(const FsckBegin& args) = 0;
  virtual Result<FsckPart> next(std::uint64_t run) = 0;
  virtual Result<void> end(std::uint64_t run) = 0;
  virtual Result<FsckChunks> list_chunks(ChunkId first, std::uint32_t chunks_max) = 0;
};

// The real one. Connects with the first call.
std::unique_ptr<FsckClient> make_fsck_client(std::string meta_address,
                                             std::chrono::milliseconds timeout);

}  // namespace dfs
