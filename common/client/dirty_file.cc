#include "common/client/dirty_file.h"

#include <algorithm>
#include <array>

namespace dfs {
namespace {

// Chunks of one file that are written to at the same time.
constexpr std::size_t kOpenChunksMax = 4;
// A write of at least this many bytes starts a chunk of its own.
constexpr std::size_t kLargeWrite = 64 * KiB;
// A chunk shorter than this does not count as a stream yet and takes
// scattered writes.
constexpr std::uint32_t kStreamLength = 64 * KiB;
// More runs in one chunk make its commit too long.
constexpr std::uint32_t kRunsMax = kRunsPerChunkMax;

}  // namespace

std::size_t DirtyFile::blocks_needed(std::uint64_t offset, std::size_t length,
                                     std::uint32_t chunk_size) const {
  // What is left of a write between ranges that are overwritten in place goes
  // to whatever chunk it continues.
  const bool cut_up = ranges_.overlaps(offset, length);
  const PendingChunk* chunk = cut_up ? nullptr : continued_by(offset);
  const bool fits = chunk != nullptr && chunk->tail_room() >= length &&
                    chunk->length() + length <= chunk_size &&
                    offset % chunk_size + length <= chunk_size;
  if (fits) return 0;
  // Every chunk it may be spread over can begin and end inside a block: the
  // one it joins, the one up to the border, those behind it; and, when it is
  // cut up, each open one and the one that is begun when that is full.
  const std::size_t chunks = length / chunk_size + 3 + (cut_up ? 2 * kOpenChunksMax : 0);
  return length / WriteBuffer::kBlock + chunks;
}

void DirtyFile::write(std::uint64_t offset, BufferView data, std::uint32_t chunk_size,
                      SteadyTime now, BlockList& fresh, std::vector<PendingChunkPtr>& sealed) {
  if (log() != nullptr) {
    logged_ = log()->wrote(inode_, offset, data, facts_);
    logged_facts_ = facts_;
  }
  spread(offset, data, chunk_size, now, fresh, sealed);
  logged_ = {};
}

void DirtyFile::spread(std::uint64_t offset, BufferView data, std::uint32_t chunk_size,
                       SteadyTime now, BlockList& fresh, std::vector<PendingChunkPtr>& sealed) {
  if (!ranges_.overlaps(offset, data.size())) {
    append(offset, data, chunk_size, now, fresh, sealed);
    return;
  }

  // What lies in an open chunk is overwritten there; the rest is appended.
  std::vector<Range> in_place;
  ranges_.visit(offset, data.size(), [&](const Range& range) {
    if (range.source->phase == ChunkPhase::open) in_place.push_back(range);
  });
  for (const Range& range : in_place) {
    range.source->overwrite(static_cast<std::uint32_t>(range.source_offset),
                            data.subspan(range.offset - offset, range.length));
  }
  std::uint64_t at = offset;
  const std::uint64_t end = offset + data.size();
  const auto append_until = [&](std::uint64_t to) {
    if (to > at) append(at, data.subspan(at - offset, to - at), chunk_size, now, fresh, sealed);
  };
  for (const Range& range : in_place) {
    append_until(range.offset);
    at = range.end();
  }
  append_until(end);
  forget_dead();
}

PendingChunk* DirtyFile::continued_by(std::uint64_t offset) const {
  for (const PendingChunkPtr& chunk : chunks_) {
    if (chunk->phase == ChunkPhase::open && chunk->next_offset == offset) return chunk.get();
  }
  return nullptr;
}

PendingChunk& DirtyFile::chunk_for(std::uint64_t offset, std::size_t length, SteadyTime now) {
  if (PendingChunk* chunk = continued_by(offset)) return *chunk;

  std::size_t open = 0;
  PendingChunk* scattered = nullptr;
  PendingChunk* any = nullptr;
  for (const PendingChunkPtr& chunk : chunks_) {
    if (chunk->phase != ChunkPhase::open) continue;
    ++open;
    any = chunk.get();
    if (!chunk->contiguous || chunk->length() < kStreamLength) scattered = chunk.get();
  }
  if (length < kLargeWrite && scattered != nullptr) return *scattered;
  if (open >= kOpenChunksMax) return scattered != nullptr ? *scattered : *any;

  chunks_.push_back(std::make_shared<PendingChunk>(buffer_, inode_, facts_, ++last_serial_, now));
  PendingChunk& chunk = *chunks_.back();
  chunk.file_offset = offset;
  chunk.next_offset = offset;
  return chunk;
}

void DirtyFile::append(std::uint64_t offset, BufferView data, std::uint32_t chunk_size,
                       SteadyTime now, BlockList& fresh, std::vector<PendingChunkPtr>& sealed) {
  while (!data.empty()) {
    PendingChunk& chunk = chunk_for(offset, data.size(), now);
    const bool continues = chunk.next_offset == offset;
    std::size_t count = std::min<std::size_t>(data.size(), chunk_size - chunk.length());
    if (chunk.contiguous && continues) {
      count = std::min<std::size_t>(count, chunk_size - offset % chunk_size);
    }

    const std::uint32_t at = chunk.length();
    chunk.append(data.first(count), fresh);
    if (!chunk.logged) chunk.logged = logged_.again();
    chunk.record.appended({offset, static_cast<std::uint32_t>(count), at});
    chunk.live_bytes += count;
    ranges_.insert({offset, count, &chunk, at}, [this](const Range& range) { lost(range); });
    chunk.contiguous = chunk.contiguous && continues;
    if (!continues || at == 0) ++chunk.runs;
    if (!continues || at == 0) chunk.places.push_back({offset, 0});
    chunk.places.back().length += static_cast<std::uint32_t>(count);
    offset += count;
    data = data.subspan(count);
    chunk.next_offset = offset;

    const bool at_border = chunk.contiguous && offset % chunk_size == 0;
    if (chunk.length() == chunk_size || at_border || chunk.runs >= kRunsMax) {
      seal_one(chunk, sealed);
    }
  }
  forget_dead();
}

// In the order in which they were written, so that a kill in the middle of a write
// leaves nothing that was not there before or after it.
void DirtyFile::restore(const std::vector<WriteJournal::Former>& former, SteadyTime now) {
  struct Piece {
    PendingChunk* chunk;
    WriteJournal::Former::Piece piece;
  };
  std::vector<Piece> pieces;
  for (const WriteJournal::Former& each : former) {
    chunks_.push_back(std::make_shared<PendingChunk>(buffer_, each, ++last_serial_, now));
    for (const auto& piece : each.runs) pieces.push_back({chunks_.back().get(), piece});
    facts_ = each.facts;
  }
  std::sort(pieces.begin(), pieces.end(),
            [](const Piece& a, const Piece& b) { return a.piece.order < b.piece.order; });
  for (const auto& [chunk, piece] : pieces) {
    const WriteJournal::Run& run = piece.run;
    chunk->live_bytes += run.length;
    ++chunk->runs;
    ranges_.insert({run.offset, run.length, chunk, run.chunk_offset},
                   [this](const Range& range) { lost(range); });
  }
  forget_dead();
  log_restored();
}

// In a log of another process they may not be: of that only the memory is gone on with.
void DirtyFile::log_restored() {
  if (log() == nullptr) return;
  std::vector<std::byte> bytes;
  ranges_.visit(0, UINT64_MAX, [&](const Range& range) {
    bytes.resize(range.length);
    range.source->copy(range.source_offset, bytes);
    WriteLog::Hold hold = log()->wrote(inode_, range.offset, bytes, facts_);
    if (!range.source->logged) range.source->logged = std::move(hold);
  });
  logged_facts_ = facts_;
}

void DirtyFile::set_facts(const UnsentFacts& facts) {
  if (facts == facts_) return;
  facts_ = facts;
  for (const PendingChunkPtr& chunk : chunks_) chunk->record.set_facts(facts_);
  log_facts();
}

// A time that is set comes with the write that it is of.
void DirtyFile::log_facts() {
  if (log() == nullptr || chunks_.empty()) return;
  const bool same = facts_.data_change == logged_facts_.data_change &&
                    facts_.clear_set_id == logged_facts_.clear_set_id &&
                    (facts_.mtime || !logged_facts_.mtime);
  if (same) return;
  log()->facts(inode_, facts_);
  logged_facts_ = facts_;
}

void DirtyFile::seal_one(PendingChunk& chunk, std::vector<PendingChunkPtr>& sealed) {
  chunk.phase = ChunkPhase::sealed;
  const auto it = std::find_if(chunks_.begin(), chunks_.end(),
                               [&](const PendingChunkPtr& other) { return other.get() == &chunk; });
  sealed.push_back(*it);
}

void DirtyFile::seal(SteadyTime born_until, std::vector<PendingChunkPtr>& sealed) {
  for (const PendingChunkPtr& chunk : chunks_) {
    if (chunk->phase != ChunkPhase::open || chunk->born > born_until) continue;
    chunk->phase = ChunkPhase::sealed;
    sealed.push_back(chunk);
  }
}

void DirtyFile::cut(std::uint64_t offset, std::uint64_t length) {
  bool any = false;
  ranges_.erase(offset, length, [&](const Range& range) {
    lost(range);
    any = true;
  });
  if (any && log() != nullptr) log()->cut(inode_, std::array{LogRange{offset, length}});
  forget_dead();
}

void DirtyFile::settled(const Range& range) {
  lost(range);
  if (log() == nullptr) return;
  const bool continues = !settled_.empty() &&
                         settled_.back().offset + settled_.back().length == range.offset;
  if (continues) settled_.back().length += range.length;
  else settled_.push_back({range.offset, range.length});
}

void DirtyFile::log_settled() {
  if (log() != nullptr) log()->cut(inode_, settled_);
  settled_.clear();
}

void DirtyFile::lost(const Range& range) {
  range.source->live_bytes -= range.length;
  range.source->record.lost(range.source_offset, range.length);
  if (range.source->live_bytes == 0) some_dead_ = true;
}

void DirtyFile::forget_dead() {
  if (!some_dead_) return;
  some_dead_ = false;
  std::erase_if(chunks_, [](const PendingChunkPtr& chunk) {
    if (chunk->live_bytes > 0 || chunk->phase == ChunkPhase::uploading) return false;
    chunk->phase = ChunkPhase::dropped;
    chunk->logged = {};
    return true;
  });
}

std::vector<DirtyFile::Range> DirtyFile::to_commit(std::size_t ranges_max) const {
  std::vector<Range> result;
  const auto take = [&](const Range& range) {
    if (range.source->phase == ChunkPhase::uploaded && result.size() < ranges_max) {
      result.push_back(range);
    }
  };
  bool scattered = false;
  for (const PendingChunkPtr& chunk : chunks_) {
    scattered = scattered || (chunk->phase == ChunkPhase::uploaded && !chunk->contiguous);
  }
  if (scattered) {
    ranges_.visit(0, UINT64_MAX, take);
    return result;
  }
  // The usual case: each chunk is one run of the file, and only there.
  for (const PendingChunkPtr& chunk : chunks_) {
    if (chunk->phase != ChunkPhase::uploaded) continue;
    ranges_.visit(chunk->file_offset, chunk->length(), [&](const Range& range) {
      if (range.source == chunk.get()) take(range);
    });
  }
  return result;
}

void DirtyFile::committed(const std::vector<Range>& ranges) {
  for (const Range& range : ranges) {
    ranges_.erase_same(range, [this](const Range& same) { settled(same); });
  }
  log_settled();
  forget_dead();
}

void DirtyFile::drop(PendingChunk& chunk) {
  std::vector<Range> its;
  ranges_.visit(0, UINT64_MAX, [&](const Range& range) {
    if (range.source == &chunk) its.push_back(range);
  });
  for (const Range& range : its) {
    ranges_.erase(range.offset, range.length, [this](const Range& gone) { settled(gone); });
  }
  log_settled();
  some_dead_ = true;
  forget_dead();
}

void DirtyFile::release_if_dead(PendingChunk& chunk) {
  if (chunk.live_bytes > 0) return;
  some_dead_ = true;
  forget_dead();
}

bool DirtyFile::has_chunk(ChunkPhase phase) const {
  return std::any_of(chunks_.begin(), chunks_.end(),
                     [phase](const PendingChunkPtr& chunk) { return chunk->phase == phase; });
}

bool DirtyFile::pending_through(std::uint64_t serial) const {
  return std::any_of(chunks_.begin(), chunks_.end(),
                     [serial](const PendingChunkPtr& chunk) { return chunk->serial <= serial; });
}

}  // namespace dfs
