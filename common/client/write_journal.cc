#include "common/client/write_journal.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "common/base/log.h"

namespace dfs {
namespace {

// A killed process leaves a prefix of its stores, in the order of the program.
void in_this_order() { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace

std::size_t WriteJournal::index_bytes(std::size_t block_count) {
  return block_count * (sizeof(Owner) + sizeof(ChunkSlot) + kRunsPerBlock * sizeof(RunSlot));
}

Result<std::unique_ptr<WriteJournal>> WriteJournal::open(LastingMemory& memory,
                                                         std::size_t bytes_max) {
  const std::size_t block_count = bytes_max / kBlock;
  const auto blocks = TRY(memory.part("write buffer", kLayout, block_count * kBlock));
  const auto index = TRY(memory.part("write journal", kLayout, index_bytes(block_count)));
  Parts parts;
  parts.blocks = blocks.bytes;
  parts.index = index.bytes;
  parts.is_new = index.is_new;
  return std::unique_ptr<WriteJournal>(new WriteJournal(parts, block_count));
}

WriteJournal::WriteJournal(const Parts& parts, std::size_t block_count)
    : parts_(parts), block_count_(block_count) {
  free_.with([&](Free& free) {
    for (std::size_t at = block_count_; at-- > 0;)
      if (parts_.is_new || chunks()[at].inode == 0) free.chunks.push_back(static_cast<Index>(at));
    for (std::size_t at = runs_max(); at-- > 0;) {
      const std::uint64_t order = parts_.is_new ? 0 : runs()[at].order;
      free.last_order = std::max(free.last_order, order);
      if (order == 0) free.runs.push_back(static_cast<Index>(at));
    }
  });
  if (!parts_.is_new) former_ = find_former();
}

// --- what is written -------------------------------------------------------------------

WriteJournal::Index WriteJournal::add_chunk(InodeId inode, const UnsentFacts& facts) {
  const Index chunk = free_.with([](Free& free) {
    if (free.chunks.empty()) return kNone;
    const Index taken = free.chunks.back();
    free.chunks.pop_back();
    return taken;
  });
  if (chunk == kNone) return kNone;
  chunks()[chunk] = {};
  set_facts(chunk, facts);
  in_this_order();
  chunks()[chunk].inode = inode.value();
  return chunk;
}

void WriteJournal::remove_chunk(Index chunk) {
  chunks()[chunk].inode = 0;
  free_.with([&](Free& free) { free.chunks.push_back(chunk); });
}

// Each may be there or not when the process is killed: they are of use only with
// bytes that are committed again or not at all.
void WriteJournal::set_facts(Index chunk, const UnsentFacts& facts) {
  ChunkSlot& slot = chunks()[chunk];
  slot.mtime = facts.mtime.value_or(0);
  slot.data_change = facts.data_change;
  slot.changed_by = facts.changed_by;
  slot.has_mtime = facts.mtime ? 1 : 0;
  slot.clear_set_id = facts.clear_set_id ? 1 : 0;
}

void WriteJournal::own_block(const std::byte* block, Index chunk, std::size_t index) {
  Owner& owner = owners()[block_index(block)];
  owner.index = static_cast<Index>(index);
  in_this_order();
  owner.chunk = chunk + 1;
}

void WriteJournal::free_block(const std::byte* block) { owners()[block_index(block)].chunk = 0; }

WriteJournal::Index WriteJournal::put_run(const RunSlot& run, std::optional<std::uint64_t> order) {
  const auto [index, own] = free_.with([&](Free& free) {
    if (free.runs.empty()) return std::pair(kNone, std::uint64_t{0});
    const Index taken = free.runs.back();
    free.runs.pop_back();
    return std::pair(taken, order ? *order : ++free.last_order);
  });
  if (index == kNone) {
    log_debug("client", "too many ranges are buffered: one is lost if this process is killed now");
    return kNone;
  }
  RunSlot& slot = runs()[index];
  slot = run;
  slot.order = 0;
  in_this_order();
  slot.order = own;
  return index;
}

WriteJournal::Index WriteJournal::add_run(Index chunk, const Run& run) {
  return put_run({.order = 0,
                  .offset = run.offset,
                  .length = run.length,
                  .chunk_offset = run.chunk_offset,
                  .chunk = chunk,
                  .reserved = 0},
                 std::nullopt);
}

void WriteJournal::set_length(Index run, std::uint32_t length) {
  in_this_order();
  runs()[run].length = length;
}

WriteJournal::Index WriteJournal::split_off(Index run, std::uint32_t from) {
  RunSlot part = runs()[run];
  part.offset += from;
  part.chunk_offset += from;
  part.length -= from;
  return put_run(part, part.order);
}

void WriteJournal::remove_run(Index run) {
  runs()[run].order = 0;
  free_.with([&](Free& free) { free.runs.push_back(run); });
}

WriteJournal::Run WriteJournal::run(Index index) const {
  const RunSlot& slot = runs()[index];
  return {slot.offset, slot.length, slot.chunk_offset};
}

// --- what a former process has left ----------------------------------------------------

std::vector<InodeId> WriteJournal::former_inodes() const {
  std::vector<InodeId> inodes;
  for (const Former& former : former_) inodes.push_back(former.inode);
  std::sort(inodes.begin(), inodes.end());
  inodes.erase(std::unique(inodes.begin(), inodes.end()), inodes.end());
  return inodes;
}

bool WriteJournal::is_whole(const Former& former) {
  const auto is_block = [](const std::byte* block) { return block != nullptr; };
  if (!std::all_of(former.blocks.begin(), former.blocks.end(), is_block)) return false;
  const std::uint64_t room = former.blocks.size() * kBlock;
  return std::all_of(former.runs.begin(), former.runs.end(), [&](const Former::Piece& piece) {
    return std::uint64_t{piece.run.chunk_offset} + piece.run.length <= room;
  });
}

std::vector<WriteJournal::Former> WriteJournal::find_former() {
  std::map<Index, Former> found;
  for (std::size_t at = 0; at < block_count_; ++at) {
    const ChunkSlot& slot = chunks()[at];
    if (slot.inode == 0) continue;
    Former& former = found[static_cast<Index>(at)];
    former.chunk = static_cast<Index>(at);
    former.inode = InodeId{slot.inode};
    if (slot.has_mtime != 0) former.facts.mtime = slot.mtime;
    former.facts.clear_set_id = slot.clear_set_id != 0;
    former.facts.data_change = slot.data_change;
    former.facts.changed_by = slot.changed_by;
  }
  for (std::size_t at = 0; at < block_count_; ++at) {
    const Owner& owner = owners()[at];
    if (owner.chunk == 0) continue;
    const auto former = found.find(owner.chunk - 1);
    if (former == found.end() || owner.index >= block_count_) {
      owners()[at].chunk = 0;
      continue;
    }
    std::vector<std::byte*>& blocks = former->second.blocks;
    if (blocks.size() <= owner.index) blocks.resize(owner.index + 1);
    blocks[owner.index] = parts_.blocks.data() + at * kBlock;
  }
  for (std::size_t at = 0; at < runs_max(); ++at) {
    const RunSlot& slot = runs()[at];
    if (slot.order == 0) continue;
    const auto former = found.find(slot.chunk);
    if (former == found.end()) {
      remove_run(static_cast<Index>(at));
      continue;
    }
    former->second.runs.push_back(
        {static_cast<Index>(at), slot.order, {slot.offset, slot.length, slot.chunk_offset}});
  }

  std::vector<Former> all;
  for (auto& [chunk, former] : found) {
    if (!former.runs.empty() && is_whole(former)) {
      std::sort(former.runs.begin(), former.runs.end(),
                [](const auto& a, const auto& b) { return a.order < b.order; });
      all.push_back(std::move(former));
      continue;
    }
    if (!former.runs.empty())
      log_error("client", "inode {}: bytes that a former process had buffered are incomplete",
                former.inode.value());
    for (const Former::Piece& piece : former.runs) remove_run(piece.index);
    for (const std::byte* block : former.blocks)
      if (block != nullptr) free_block(block);
    remove_chunk(chunk);
  }
  return all;
}

}  // namespace dfs
