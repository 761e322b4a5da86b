#include "server/storage/copy_check.h"

#include <algorithm>

#include "common/base/checksum.h"
#include "common/rpc/protocol.h"

namespace dfs::storage {
namespace {

bool is_damage(Errc code) { return code == Errc::corrupt || code == Errc::io; }

}  // namespace

Result<CheckedCopy> check_copy(StoreSet& stores, ChunkId chunk) {
  CheckedCopy copy;
  ChunkStore* const store = TRY(stores.usable_store_of(chunk));
  if (store == nullptr) return copy;
  const auto meta = store->stat(chunk);
  if (!meta && meta.error().code == Errc::not_found) return copy;
  copy.state = CopyState::damaged;
  if (!meta && is_damage(meta.error().code)) return copy;
  if (!meta) return fail(meta.error());
  for (std::uint32_t offset = 0; offset < meta->length; offset += kFrameBytesMax) {
    const ReadRange part{offset, std::min(kFrameBytesMax, meta->length - offset)};
    const auto bytes = store->get(chunk, part, ReadFrom::disk);
    if (!bytes && bytes.error().code == Errc::not_found) return CheckedCopy{};
    if (!bytes && is_damage(bytes.error().code)) return copy;
    if (!bytes) return fail(bytes.error());
    copy.bytes += part.length;
    const auto& sums = bytes->checksums;
    if (!checksums_hold(bytes->bytes, sums.data(), sums.size())) return copy;
  }
  copy.state = CopyState::good;
  return copy;
}

}  // namespace dfs::storage
