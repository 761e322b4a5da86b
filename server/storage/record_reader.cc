#include "server/storage/record_reader.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>

namespace dfs::storage {
namespace {

// Uninitialised on purpose: the disk fills it.
std::shared_ptr<std::byte[]> make_buffer(std::size_t bytes) {
  return std::shared_ptr<std::byte[]>(new std::byte[bytes]);
}

Result<void> fill(const DiskFile& file, std::uint64_t offset, MutableBuffer into, ReadFrom from) {
  const std::size_t got =
      TRY(from == ReadFrom::memory ? file.read_cached(offset, into) : file.read(offset, into));
  if (got != into.size()) return fail(Errc::corrupt, "the segment ends inside the record");
  return {};
}

bool all_zeros(BufferView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

Result<RecordHeader> check_header(BufferView bytes, ChunkId chunk, const ChunkPlace& place) {
  const auto header = decode_record_header(bytes);
  if (!header) {
    if (all_zeros(bytes.first(kRecordHeaderBytes))) return fail(Errc::not_found);
    return fail(Errc::corrupt, "the record's header does not hold");
  }
  if (header->meta.chunk != chunk || header->place != place.offset ||
      header->meta.length != place.length)
    return fail(Errc::corrupt, "the record is another one's");
  return *header;
}

std::vector<Checksum> copy_table(const std::byte* from, std::uint32_t blocks) {
  std::vector<Checksum> sums(blocks);
  std::memcpy(sums.data(), from, blocks * sizeof(Checksum));
  return sums;
}

Result<void> check_table(const RecordHeader& header, std::span<const Checksum> sums) {
  if (checksum_of_table(sums) == header.sums_checksum) return {};
  return fail(Errc::corrupt, "the record's table of checksums does not hold");
}

// Cuts `range` out of `blocks`, which hold the chunk from `blocks_start` on.
Result<ChunkBytes> hand_out(std::shared_ptr<const void> owner, BufferView blocks,
                            std::uint32_t blocks_start, std::vector<Checksum> sums,
                            const ReadRange& range) {
  if (blocks_start == range.offset && blocks.size() == range.length)
    return ChunkBytes{std::move(owner), blocks, std::move(sums), true};
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const std::size_t at = i * kBlockSize;
    const BufferView block = blocks.subspan(at, std::min<std::size_t>(kBlockSize, blocks.size() - at));
    if (checksum_of(block) != sums[i])
      return fail(Errc::corrupt, fmt::format("the chunk's block at {} does not match its checksum",
                                             blocks_start + at));
  }
  const BufferView bytes = blocks.subspan(range.offset - blocks_start, range.length);
  return ChunkBytes{std::move(owner), bytes, {checksum_of(bytes)}, false};
}

}  // namespace

Result<RecordTable> read_table(const DiskFile& file, ChunkId chunk, const ChunkPlace& place,
                               ReadFrom from) {
  const std::uint32_t blocks = block_count(place.length);
  std::vector<std::byte> bytes(kRecordHeaderBytes + blocks * sizeof(Checksum));
  TRY(fill(file, place.offset, bytes, from));
  RecordTable table;
  table.header = TRY(check_header(bytes, chunk, place));
  table.checksums = copy_table(bytes.data() + kRecordHeaderBytes, blocks);
  TRY(check_table(table.header, table.checksums));
  return table;
}

Result<ChunkBytes> read_record(const DiskFile& file, ChunkId chunk, const ChunkPlace& place,
                               const ReadRange& range, ReadFrom from) {
  if (range.length == 0 || range.offset > place.length ||
      range.length > place.length - range.offset)
    return fail(Errc::invalid, "the range is not inside the chunk");

  const std::uint64_t data = data_start(place.length);
  if (block_count(place.length) == 1) {
    // Header, checksum and data lie together: one read fetches all.
    auto buffer = make_buffer(data + place.length);
    const MutableBuffer record(buffer.get(), data + place.length);
    TRY(fill(file, place.offset, record, from));
    const RecordHeader header = TRY(check_header(record, chunk, place));
    auto sums = copy_table(record.data() + kRecordHeaderBytes, 1);
    TRY(check_table(header, sums));
    return hand_out(std::move(buffer), record.subspan(data), 0, std::move(sums), range);
  }

  const RecordTable table = TRY(read_table(file, chunk, place, from));
  const std::uint32_t first = range.offset / kBlockSize;
  const std::uint32_t end = block_count(std::uint64_t{range.offset} + range.length);
  const std::uint32_t blocks_start = first * kBlockSize;
  const std::uint32_t blocks_end =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(std::uint64_t{end} * kBlockSize, place.length));
  auto buffer = make_buffer(blocks_end - blocks_start);
  const MutableBuffer blocks(buffer.get(), blocks_end - blocks_start);
  TRY(fill(file, place.offset + data + blocks_start, blocks, from));
  return hand_out(std::move(buffer), blocks, blocks_start,
                  {table.checksums.begin() + first, table.checksums.begin() + end}, range);
}

}  // namespace dfs::storage
