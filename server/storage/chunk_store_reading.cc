// What ChunkStore reads of its chunks.
#include <algorithm>

#include "common/base/log.h"
#include "server/storage/chunk_store.h"
#include "server/storage/record_reader.h"

namespace dfs::storage {

Result<ChunkBytes> ChunkStore::get(ChunkId chunk, const ReadRange& range, ReadFrom from) {
  return look_into<ChunkBytes>(chunk, [&](const DiskFile& file, const ChunkPlace& place) {
    return read_record(file, chunk, place, range, from);
  });
}

Result<std::optional<BlockPlace>> ChunkStore::locate(ChunkId chunk, const ReadRange& range,
                                                     ReadFrom from) {
  using Located = std::optional<BlockPlace>;
  return look_into<Located>(
      chunk, [&](const DiskFile& file, const ChunkPlace& place) -> Result<Located> {
        const std::uint64_t end = std::uint64_t{range.offset} + range.length;
        const bool ends_a_block = end % kBlockSize == 0 || end == place.length;
        const bool whole = range.length > 0 && range.offset % kBlockSize == 0 && ends_a_block;
        if (!whole || end > place.length) return std::nullopt;
        const RecordTable table = TRY(read_table(file, chunk, place, from));
        const auto first = table.checksums.begin() + range.offset / kBlockSize;
        return BlockPlace{std::filesystem::absolute(segments_.files().path(place.segment)),
                          place.offset + data_start(place.length) + range.offset,
                          {first, first + block_count(range.length)}};
      });
}

// Gives `look` the chunk's file and place, and judges what it could not read.
template <typename T, typename Look>
Result<T> ChunkStore::look_into(ChunkId chunk, Look look) {
  const auto known = TRY(find(chunk));
  if (!known) return fail(Errc::not_found, to_string(chunk) + " is not here");
  auto file = segments_.files().open(known->place.segment);
  Result<T> found = file ? look(**file, known->place) : fail(std::move(file).error());
  if (found) return found;
  const Errc code = found.error().code;
  if (code != Errc::corrupt && code != Errc::not_found) return found;

  // Deleted meanwhile?
  const auto still = TRY(find(chunk));
  if (!still || still->place != known->place || code == Errc::not_found)
    return fail(Errc::not_found, to_string(chunk) + " is not here");
  return fail(note_corrupt(chunk, known->place, std::move(found).error()));
}

Error ChunkStore::note_corrupt(ChunkId chunk, const ChunkPlace& place, Error error) {
  ++corrupt_reads_;
  log_error("storage", "{} in {} at {}: {}", to_string(chunk),
            segments_.files().path(place.segment).string(), place.offset, error.text);
  return error;
}

void ChunkStore::will_read(ChunkId chunk, const ReadRange& range) {
  const auto known = find(chunk);
  if (!known || !*known || range.offset >= (*known)->place.length) return;  // get() will say it
  const ChunkPlace& place = (*known)->place;
  if (const auto file = segments_.files().open(place.segment)) {
    (*file)->will_read(place.offset + data_start(place.length) + range.offset,
                       std::min(range.length, place.length - range.offset));
  }
}

Result<bool> ChunkStore::contains(ChunkId chunk) const {
  const auto known = TRY(index_.find(chunk));
  return known.has_value();
}

Result<ChunkMeta> ChunkStore::stat(ChunkId chunk) {
  const auto known = TRY(find(chunk));
  if (!known) return fail(Errc::not_found, to_string(chunk) + " is not here");
  const auto file = TRY(segments_.files().open(known->place.segment));
  auto table = read_table(*file, chunk, known->place, ReadFrom::disk);
  if (table) return table->header.meta;
  if (table.error().code != Errc::corrupt) return fail(std::move(table).error());
  return fail(note_corrupt(chunk, known->place, std::move(table).error()));
}

Result<std::vector<ChunkIndex::Listed>> ChunkStore::list(ChunkId first,
                                                         std::size_t chunks_max) const {
  return index_.list(first, chunks_max);
}

}  // namespace dfs::storage
