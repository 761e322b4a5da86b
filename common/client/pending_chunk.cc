#include "common/client/pending_chunk.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace dfs {
namespace {

constexpr std::size_t kBlock = WriteBuffer::kBlock;

// What is left of a chunk; between the pieces is what was written over since.
std::vector<FileRun> places_of(const WriteJournal::Former& former) {
  std::vector<WriteJournal::Run> runs;
  for (const auto& piece : former.runs) runs.push_back(piece.run);
  std::sort(runs.begin(), runs.end(), [](const WriteJournal::Run& a, const WriteJournal::Run& b) {
    return a.chunk_offset < b.chunk_offset;
  });
  std::vector<FileRun> places;
  std::uint32_t end = 0;
  for (const WriteJournal::Run& run : runs) {
    if (run.chunk_offset > end) places.push_back({kNowhere, run.chunk_offset - end});
    places.push_back({run.offset, run.length});
    end = run.chunk_offset + run.length;
  }
  return places;
}

}  // namespace

PendingChunk::PendingChunk(WriteBuffer& buffer, const WriteJournal::Former& former,
                           std::uint64_t serial_number, SteadyTime now)
    : serial(serial_number),
      born(now),
      phase(ChunkPhase::sealed),
      contiguous(false),
      record(*buffer.journal(), former),
      blocks_(buffer) {
  for (const auto& piece : former.runs)
    length_ = std::max(length_, piece.run.chunk_offset + piece.run.length);
  places = places_of(former);
  contiguous = places.size() == 1;
  for (const FileRun& place : places) {
    if (place.file_offset == kNowhere) continue;
    file_offset = place.file_offset;
    break;
  }
  // Of what was at its end nothing may be alive any more.
  const auto rest = former.blocks.begin() + static_cast<std::ptrdiff_t>(block_count(length_));
  buffer.take_former({former.blocks.begin(), rest}, blocks_);
  BlockList unused(buffer);
  buffer.take_former({rest, former.blocks.end()}, unused);
  for (std::size_t at = 0; (at + 1) * kBlock <= length_; ++at)
    checksums_.push_back(checksum_of({blocks_[at], kBlock}));
}

void PendingChunk::append(BufferView data, BlockList& fresh) {
  while (!data.empty()) {
    const std::size_t within = length_ % kBlock;
    if (within == 0) {
      blocks_.adopt(fresh);
      record.owns(blocks_[blocks_.size() - 1], blocks_.size() - 1);
    }
    std::byte* block = blocks_[blocks_.size() - 1];
    const std::size_t count = std::min(data.size(), kBlock - within);
    std::memcpy(block + within, data.data(), count);
    length_ += static_cast<std::uint32_t>(count);
    data = data.subspan(count);
    // Now, while the block is in the processor's cache.
    if (within + count == kBlock) checksums_.push_back(checksum_of({block, kBlock}));
  }
}

void PendingChunk::overwrite(std::uint32_t at, BufferView data) {
  invariant(phase == ChunkPhase::open && at + data.size() <= length_,
            "only bytes of an open chunk are overwritten");
  while (!data.empty()) {
    const std::uint32_t block = at / kBlock;
    const std::size_t within = at % kBlock;
    const std::size_t count = std::min(data.size(), kBlock - within);
    std::memcpy(blocks_[block] + within, data.data(), count);
    const bool complete = block < checksums_.size();
    if (complete && (stale_blocks_.empty() || stale_blocks_.back() != block)) {
      stale_blocks_.push_back(block);
    }
    at += static_cast<std::uint32_t>(count);
    data = data.subspan(count);
  }
  // Overwriting the same blocks for ever must not make the list grow for ever.
  if (stale_blocks_.size() > 2 * blocks_.size()) {
    std::sort(stale_blocks_.begin(), stale_blocks_.end());
    stale_blocks_.erase(std::unique(stale_blocks_.begin(), stale_blocks_.end()),
                        stale_blocks_.end());
  }
}

void PendingChunk::copy(std::uint64_t at, MutableBuffer into) const {
  while (!into.empty()) {
    const std::size_t within = at % kBlock;
    const std::size_t count = std::min(into.size(), kBlock - within);
    std::memcpy(into.data(), blocks_[at / kBlock] + within, count);
    at += count;
    into = into.subspan(count);
  }
}

void PendingChunk::finish() {
  if (std::exchange(finished_, true)) return;
  std::sort(stale_blocks_.begin(), stale_blocks_.end());
  stale_blocks_.erase(std::unique(stale_blocks_.begin(), stale_blocks_.end()), stale_blocks_.end());
  for (const std::uint32_t block : stale_blocks_) {
    checksums_[block] = checksum_of({blocks_[block], kBlock});
  }
  stale_blocks_.clear();
  if (checksums_.size() < blocks_.size()) {
    const std::size_t within = length_ % kBlock;
    checksums_.push_back(checksum_of({blocks_[blocks_.size() - 1], within}));
  }
  if (!contiguous) add_map();
}

// Into the last block if it has the room, else behind it as a block of its own.
void PendingChunk::add_map() {
  if (places.size() > kRunsPerChunkMax) return;  // pieces of a former process's
  const std::vector<std::byte> map = encode_run_map(places);
  if (blocks_.size() * kBlock + map.size() > kChunkSizeMax) return;
  has_map_ = true;
  std::byte* const last = blocks_[blocks_.size() - 1];
  const std::size_t used = kBlock - tail_room();
  if (map.size() <= tail_room()) {
    std::memcpy(last + used, map.data(), map.size());
    last_block_bytes_ = used + map.size();
  } else {
    std::memset(last + used, 0, tail_room());
    last_block_bytes_ = kBlock;
    map_ = map;
  }
  checksums_.back() = checksum_of({last, last_block_bytes_});
  if (!map_.empty()) checksums_.push_back(checksum_of(map_));
}

std::vector<BufferView> PendingChunk::pieces() const {
  std::vector<BufferView> result;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    std::size_t count = std::min(kBlock, length_ - i * kBlock);
    if (i + 1 == blocks_.size() && last_block_bytes_ != 0) count = last_block_bytes_;
    const bool continues = !result.empty() && result.back().data() + result.back().size() == blocks_[i];
    if (continues) {
      result.back() = {result.back().data(), result.back().size() + count};
    } else {
      result.push_back({blocks_[i], count});
    }
  }
  if (!map_.empty()) result.emplace_back(map_);
  return result;
}

}  // namespace dfs
