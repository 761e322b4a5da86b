// What a former mount has left in its write log: of each file, what it had been told
// was written and did not know to be on the servers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/client/range_map.h"
#include "common/client/write_log_format.h"
#include "common/rpc/session_memo.h"

namespace dfs {

struct LoggedFile {
  // Whose source is an index of FormerWrites::segments, where the bytes are.
  using Ranges = RangeMap<std::size_t>;
  Ranges ranges;
  UnsentFacts facts;
  // The commit that may have happened since: the first chunk of it.
  std::optional<ChunkId> intent;
  // A damaged record may have been about it: what the servers have now may be younger
  // than some of this.
  bool is_doubtful = false;
};

struct FormerWrites {
  std::map<InodeId, LoggedFile> files;
  std::vector<std::filesystem::path> segments;  // the oldest first
  std::optional<SessionMemo> session;
  std::uint64_t last_sequence = 0;
  std::uint64_t last_segment = 0;
  // What is lost, a sentence each: not the end that a power loss tore, which nobody was told
  // was written.
  std::vector<std::string> damage;

  std::uint64_t bytes() const;
};

// Reads all segments of `directory`, and cuts a torn end off the last one.
//   wrong_cluster  they are another cluster's
//   wrong_version  another version of this program has written them
//   io             they cannot be read
Result<FormerWrites> read_write_log(const std::filesystem::path& directory,
                                    std::string_view cluster);

// Reads bytes of one range of them.
Result<void> read_logged(const FormerWrites& former, const LoggedFile::Ranges::Range& range,
                         MutableBuffer into);

}  // namespace dfs
