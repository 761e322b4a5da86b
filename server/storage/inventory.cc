#include "server/storage/inventory.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "common/rpc/chunk_inventory.h"
#include "server/storage/posix_disk.h"
#include "server/storage/store_index.h"

namespace dfs::storage {
namespace {

constexpr std::size_t kListedAtOnce = 4'096;

// Nothing: the map does not hold, or cannot be read.
std::optional<std::vector<FileRun>> runs_of(ChunkStore& store, const ChunkMeta& meta) {
  const std::uint32_t length =
      std::min<std::uint32_t>(meta.length, run_map_bytes(kRunsPerChunkMax));
  const auto end = store.get(meta.chunk, {meta.length - length, length}, ReadFrom::disk);
  if (!end) return std::nullopt;
  if (!end->whole_blocks) return decode_run_map(end->bytes, meta.length);
  if (!checksums_hold(end->bytes, end->checksums.data(), end->checksums.size())) return std::nullopt;
  return decode_run_map(end->bytes, meta.length);
}

InventoryRow row_of(ChunkStore& store, const ChunkMeta& meta) {
  InventoryRow row{.chunk = meta.chunk,
                   .length = meta.length,
                   .inode = meta.inode,
                   .file_offset = meta.file_offset,
                   .written = meta.written,
                   .kind = InventoryRow::Kind::one_run,
                   .runs = {}};
  if (!meta.scattered) return row;
  auto runs = runs_of(store, meta);
  row.kind = runs ? InventoryRow::Kind::runs : InventoryRow::Kind::unknown;
  if (runs) row.runs = std::move(*runs);
  return row;
}

Result<void> write_store(ChunkStore& store, RowFileWriter& file, InventorySummary& summary) {
  ChunkId first;
  std::string key;
  std::string value;
  while (true) {
    const auto listed = TRY(store.list(first, kListedAtOnce));
    for (const ChunkIndex::Listed& each : listed) {
      const auto meta = store.stat(each.chunk);
      if (!meta) {
        ++summary.unreadable;
        continue;
      }
      const InventoryRow row = row_of(store, *meta);
      encode(row, key, value);
      TRY(file.add(key, value));
      ++summary.chunks;
      summary.bytes += row.length;
      summary.unplaced += row.kind == InventoryRow::Kind::unknown;
    }
    if (listed.size() < kListedAtOnce) return {};
    first = following(listed.back().chunk);
  }
}

}  // namespace

Result<InventorySummary> write_inventory(const StoreSet& stores, const Clock& clock,
                                         const std::filesystem::path& file) {
  const StoreIdentity identity = stores.identity();
  if (!identity.is_registered())
    return fail(Errc::invalid, "this storage server has joined no cluster yet, so it has no chunks");
  RowFileWriter writer = TRY(RowFileWriter::create(
      file, inventory_facts({identity.cluster, identity.server, identity.identity, clock.wall()})));
  InventorySummary summary;
  for (const auto& store : stores.stores()) TRY(write_store(*store, writer, summary));
  (void)TRY(writer.finish());
  return summary;
}

Result<InventorySummary> write_inventory_of(const std::vector<std::filesystem::path>& directories,
                                            const std::filesystem::path& file) {
  PosixDisk disk;
  // Opening would make what is not there.
  for (const std::filesystem::path& directory : directories) {
    const auto identity = TRY(read_identity(disk, directory));
    if (!identity)
      return fail(Errc::invalid, fmt::format("{} is not the data directory of a storage server",
                                             directory.string()));
  }
  const auto stores = TRY(StoreSet::open(disk, SystemClock::instance(),
                                         {.directories = directories, .store = {}},
                                         open_store_index));
  return write_inventory(*stores, SystemClock::instance(), file);
}

}  // namespace dfs::storage
