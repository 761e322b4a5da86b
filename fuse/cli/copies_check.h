// What storage servers really hold: asks every one for every chunk that files
// use, and names the files whose bytes too few of them have.
//
// A chunk that seems to lack copies is looked at once more before anything is
// said of it: it may have been removed, or have moved, since it was listed. Only
// what a file still uses is reported then.
//
// Memory: 4,096 chunks at a time, and at most 65,536 that lack copies. A server
// that has not answered twice in a row is not asked again.
//
// Threads: one; blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/rpc/fsck_client.h"
#include "common/rpc/storage_client.h"

namespace dfs::cli {

// Bytes of a file.
struct CopiesFinding {
  enum class Kind {
    lost,         // no storage server has them
    unreachable,  // those that may have them do not answer
    few,          // some have them, fewer than there should be: repair makes more
  };
  Kind kind = Kind::lost;
  ChunkUse use;
  std::size_t copies = 0;  // that were seen
  std::size_t wanted = 0;
  std::vector<ServerId> silent;  // members that have not answered
};
// "/a/b: bytes 0 to 1000 are lost: no storage server has chunk g1-0000000001"
std::string to_text(const CopiesFinding& finding);

struct CopiesSummary {
  std::uint64_t chunks = 0;
  std::uint64_t lost = 0;  // findings of each kind
  std::uint64_t unreachable = 0;
  std::uint64_t few = 0;
};

class CopiesCheck {
 public:
  // An error of `found` ends the check. `passed` gets how many chunks have been looked at.
  using Found = std::function<Result<void>(const CopiesFinding&)>;
  using Passed = std::function<void(std::uint64_t chunks)>;

  // Both must outlive the check.
  CopiesCheck(FsckClient& meta, StoragePool& storage) : meta_(meta), storage_(storage) {}

  // Errors: of the metadata server, and of `found`. Storage servers make findings.
  Result<CopiesSummary> run(const Found& found, const Passed& passed);

 private:
  struct Copies {
    CopiesFinding::Kind kind = CopiesFinding::Kind::lost;
    std::size_t copies = 0;
    std::size_t wanted = 0;
    std::vector<ServerId> silent;
  };
  using Lacking = std::map<ChunkId, Copies>;

  // Those of the chunks that lack copies.
  Lacking look_at(const FsckChunks& chunks);
  Result<Lacking> look_again(const Lacking& suspects);
  // Which of `chunks` the server has, in their order; none: it does not answer.
  std::vector<bool> ask(ServerId server, const std::vector<ChunkId>& chunks);
  Result<void> name_files(const Found& found);

  FsckClient& meta_;
  StoragePool& storage_;
  std::map<ServerId, int> refusals_;  // in a row
  Lacking lacking_;
  CopiesSummary summary_;
};

}  // namespace dfs::cli
