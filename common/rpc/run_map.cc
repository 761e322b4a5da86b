#include "common/rpc/run_map.h"

#include "common/base/checksum.h"
#include "common/base/ids.h"

namespace dfs {

namespace {

constexpr std::uint64_t kFileBytesMax = INT64_MAX;

}  // namespace

static_assert(run_map_bytes(kRunsPerChunkMax) <= kBlockSize);

std::vector<std::byte> encode_run_map(std::span<const FileRun> runs) {
  std::vector<std::byte> map(run_map_bytes(runs.size()));
  std::byte* at = map.data();
  for (const FileRun& run : runs) {
    store_le(at, run.file_offset);
    store_le(at + 8, run.length);
    at += kRunBytes;
  }
  store_le(at, static_cast<std::uint32_t>(runs.size()));
  store_le(at + 4, checksum_of(BufferView(map).first(map.size() - 8)));
  return map;
}

std::optional<std::vector<FileRun>> decode_run_map(BufferView end, std::uint32_t length) {
  if (end.size() < kRunMapEndBytes) return std::nullopt;
  const std::byte* last = end.data() + end.size() - kRunMapEndBytes;
  const std::uint32_t count = load_le<std::uint32_t>(last);
  if (count == 0 || count > kRunsPerChunkMax || run_map_bytes(count) > end.size())
    return std::nullopt;
  const BufferView map = end.last(run_map_bytes(count));
  if (checksum_of(map.first(map.size() - 8)) != load_le<std::uint64_t>(last + 4))
    return std::nullopt;
  std::vector<FileRun> runs;
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::byte* at = map.data() + i * kRunBytes;
    const FileRun run{load_le<std::uint64_t>(at), load_le<std::uint32_t>(at + 8)};
    const bool fits = run.file_offset == kNowhere || run.file_offset <= kFileBytesMax - run.length;
    if (run.length == 0 || !fits) return std::nullopt;
    runs.push_back(run);
    bytes += run.length;
  }
  if (bytes + map.size() > length || length - (bytes + map.size()) >= kBlockSize)
    return std::nullopt;
  return runs;
}

}  // namespace dfs
