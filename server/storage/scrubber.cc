#include "server/storage/scrubber.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "server/storage/chunk_lists.h"
#include "server/storage/copy_check.h"

namespace dfs::storage {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kChunksAtOnce = 64;
constexpr std::uint64_t kBytesAtOnce = 4 * MiB;
// What a look at a small chunk costs a disk besides its bytes.
constexpr std::uint64_t kLookBytes = 16 * KiB;
constexpr milliseconds kRoundPause{10'000};

}  // namespace

Scrubber::Scrubber(StoreSet& stores, const Clock& clock, std::uint64_t bytes_per_second,
                   std::uint64_t start)
    : stores_(stores),
      bytes_per_second_(bytes_per_second),
      pace_(clock, bytes_per_second),
      start_(start),
      bytes_(metrics().counter("dfs_storage_scrubbed_bytes_total", "Bytes read to be checked.")),
      found_(metrics().counter("dfs_storage_scrub_damaged_total", "Damaged copies found by that.")),
      rounds_(metrics().counter("dfs_storage_scrub_rounds_total", "Times that all was read.")) {}

milliseconds Scrubber::step() {
  if (bytes_per_second_ == 0) return kRoundPause;
  if (!std::exchange(placed_, true)) {
    const auto groups = list_groups(stores_);
    if (groups && !groups->empty()) position_ = first_chunk_of((*groups)[start_ % groups->size()]);
  }
  const auto chunks = stores_.list(position_, kChunksAtOnce);
  if (!chunks) {
    log_warn("scrubber", "the chunks here cannot be listed: {}", chunks.error().to_string());
    return kRoundPause;
  }
  if (chunks->empty()) {
    position_ = ChunkId{};
    rounds_.add();
    return kRoundPause;
  }
  std::uint64_t bytes = 0;
  for (const ChunkId chunk : *chunks) {
    position_ = following(chunk);
    const auto copy = check_copy(stores_, chunk);
    if (!copy) continue;  // the disk fails as a whole: its store says so
    bytes += copy->bytes + kLookBytes;
    bytes_.add(static_cast<double>(copy->bytes));
    if (copy->state == CopyState::damaged) {
      found_.add();
      log_error("scrubber", "the copy of {} here is damaged", to_string(chunk));
      damaged_.with([&](auto& damaged) {
        if (damaged.size() < kDamagedMax) damaged.push_back(chunk);
      });
    }
    if (bytes >= kBytesAtOnce) break;
  }
  pace_.spent(bytes);
  return pace_.wait();
}

std::vector<ChunkId> Scrubber::take_damaged() {
  return damaged_.with([](auto& damaged) { return std::exchange(damaged, {}); });
}

}  // namespace dfs::storage
