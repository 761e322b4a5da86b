#include "server/storage/segment_format.h"

namespace dfs::storage {
namespace {

constexpr std::uint64_t magic_of(const char (&text)[9]) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(text[i]);
  return value;
}
constexpr std::uint64_t kSegmentMagic = magic_of("DFSSEG01");
constexpr std::uint64_t kRecordMagic = magic_of("DFSCHNK1");
constexpr std::uint32_t kSegmentVersion = 1;
constexpr std::uint32_t kRecordVersion = 2;
constexpr std::uint32_t kTimelessVersion = 1;  // of records, before they had a time
constexpr std::uint64_t kScattered = std::uint64_t{1} << 63;

// Both headers end with the checksum of what stands before it.
template <std::size_t N>
void seal(std::array<std::byte, N>& bytes) {
  store_le(bytes.data() + N - 8, checksum_of(BufferView(bytes).first(N - 8)));
}
bool seal_holds(BufferView bytes) {
  return load_le<std::uint64_t>(bytes.data() + bytes.size() - 8) ==
         checksum_of(bytes.first(bytes.size() - 8));
}

}  // namespace

SegmentHeaderBytes encode(const SegmentHeader& header) {
  SegmentHeaderBytes bytes;
  store_le(bytes.data(), kSegmentMagic);
  store_le(bytes.data() + 8, kSegmentVersion);
  store_le(bytes.data() + 12, header.number);
  store_le(bytes.data() + 16, header.salt);
  store_le(bytes.data() + 24, std::uint64_t{header.sealed});
  store_le(bytes.data() + 32, header.end);
  seal(bytes);
  return bytes;
}

std::optional<SegmentHeader> decode_segment_header(BufferView bytes) {
  if (bytes.size() < sizeof(SegmentHeaderBytes)) return std::nullopt;
  bytes = bytes.first(sizeof(SegmentHeaderBytes));
  if (load_le<std::uint64_t>(bytes.data()) != kSegmentMagic) return std::nullopt;
  if (load_le<std::uint32_t>(bytes.data() + 8) != kSegmentVersion) return std::nullopt;
  if (!seal_holds(bytes)) return std::nullopt;
  return SegmentHeader{.number = load_le<std::uint32_t>(bytes.data() + 12),
                       .salt = load_le<std::uint64_t>(bytes.data() + 16),
                       .sealed = load_le<std::uint64_t>(bytes.data() + 24) == 1,
                       .end = load_le<std::uint64_t>(bytes.data() + 32)};
}

RecordHeaderBytes encode(const RecordHeader& header, std::span<const Checksum> checksums) {
  RecordHeaderBytes bytes;
  store_le(bytes.data(), kRecordMagic);
  store_le(bytes.data() + 8, kRecordVersion);
  store_le(bytes.data() + 12, header.meta.length);
  store_le(bytes.data() + 16, header.meta.chunk.value());
  store_le(bytes.data() + 24, header.meta.inode.value());
  store_le(bytes.data() + 32, header.meta.file_offset);
  store_le(bytes.data() + 40, header.serial);
  store_le(bytes.data() + 48, header.place);
  store_le(bytes.data() + 56, header.salt);
  const auto written = static_cast<std::uint64_t>(header.meta.written) & ~kScattered;
  store_le(bytes.data() + 64, written | (header.meta.scattered ? kScattered : 0));
  store_le(bytes.data() + 72, checksum_of_table(checksums));
  seal(bytes);
  return bytes;
}

std::optional<RecordHeader> decode_record_header(BufferView bytes) {
  if (bytes.size() < kRecordHeaderBytes) return std::nullopt;
  bytes = bytes.first(kRecordHeaderBytes);
  if (load_le<std::uint64_t>(bytes.data()) != kRecordMagic) return std::nullopt;
  const std::uint32_t version = load_le<std::uint32_t>(bytes.data() + 8);
  if (version != kRecordVersion && version != kTimelessVersion) return std::nullopt;
  if (!seal_holds(bytes)) return std::nullopt;
  RecordHeader header{
      .meta = {.chunk = ChunkId{load_le<std::uint64_t>(bytes.data() + 16)},
               .length = load_le<std::uint32_t>(bytes.data() + 12),
               .inode = InodeId{load_le<std::uint64_t>(bytes.data() + 24)},
               .file_offset = load_le<std::uint64_t>(bytes.data() + 32)},
      .serial = load_le<std::uint64_t>(bytes.data() + 40),
      .place = load_le<std::uint64_t>(bytes.data() + 48),
      .salt = load_le<std::uint64_t>(bytes.data() + 56),
      .sums_checksum = load_le<std::uint64_t>(bytes.data() + 72)};
  const std::uint32_t length = header.meta.length;
  if (length == 0 || length > kChunkSizeMax) return std::nullopt;
  if (version == kTimelessVersion) {
    if (load_le<std::uint32_t>(bytes.data() + 64) != block_count(length)) return std::nullopt;
    if (load_le<std::uint32_t>(bytes.data() + 68) != data_start(length)) return std::nullopt;
    return header;
  }
  const auto written = load_le<std::uint64_t>(bytes.data() + 64);
  header.meta.written = static_cast<WallNanos>(written & ~kScattered);
  header.meta.scattered = (written & kScattered) != 0;
  return header;
}

Checksum checksum_of_table(std::span<const Checksum> checksums) {
  return checksum_of(std::as_bytes(checksums));
}

}  // namespace dfs::storage
