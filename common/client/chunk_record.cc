#include "common/client/chunk_record.h"

#include <algorithm>
#include <iterator>

namespace dfs {

ChunkRecord::ChunkRecord(WriteJournal* journal, InodeId inode, const UnsentFacts& facts)
    : journal_(journal),
      slot_(journal == nullptr ? WriteJournal::kNone : journal->add_chunk(inode, facts)) {}

ChunkRecord::ChunkRecord(WriteJournal& journal, const WriteJournal::Former& former)
    : journal_(&journal), slot_(former.chunk) {
  for (const auto& piece : former.runs) {
    // Two that a kill left over the same bytes of the chunk say the same.
    if (!runs_.emplace(piece.run.chunk_offset, piece.index).second) journal.remove_run(piece.index);
  }
}

ChunkRecord::~ChunkRecord() {
  if (!records()) return;
  for (const auto& [from, run] : runs_) journal_->remove_run(run);
  journal_->remove_chunk(slot_);
}

void ChunkRecord::set_facts(const UnsentFacts& facts) {
  if (records()) journal_->set_facts(slot_, facts);
}

void ChunkRecord::owns(const std::byte* block, std::size_t index) {
  if (records()) journal_->own_block(block, slot_, index);
}

void ChunkRecord::appended(const WriteJournal::Run& run) {
  if (!records()) return;
  if (!runs_.empty()) {
    const Index last = std::prev(runs_.end())->second;
    const WriteJournal::Run before = journal_->run(last);
    const bool continues = before.chunk_offset + before.length == run.chunk_offset &&
                           before.offset + before.length == run.offset;
    if (continues) return journal_->set_length(last, before.length + run.length);
  }
  const Index added = journal_->add_run(slot_, run);
  if (added != WriteJournal::kNone) runs_.emplace(run.chunk_offset, added);
}

void ChunkRecord::lost(std::uint64_t chunk_offset, std::uint64_t length) {
  if (!records()) return;
  const std::uint64_t end = chunk_offset + length;
  auto at = runs_.upper_bound(static_cast<std::uint32_t>(chunk_offset));
  if (at != runs_.begin()) --at;
  while (at != runs_.end() && at->first < end) {
    const Index index = at->second;
    const WriteJournal::Run run = journal_->run(index);
    const std::uint64_t run_end = std::uint64_t{run.chunk_offset} + run.length;
    const std::uint64_t from = std::max<std::uint64_t>(run.chunk_offset, chunk_offset);
    const std::uint64_t to = std::min(run_end, end);
    if (from >= to) {
      ++at;
      continue;
    }
    // What stays behind it is recorded first.
    if (to < run_end) {
      const Index rest = journal_->split_off(index, static_cast<std::uint32_t>(to - run.chunk_offset));
      // A kill in this place may have left one there already.
      if (rest != WriteJournal::kNone && !runs_.emplace(static_cast<std::uint32_t>(to), rest).second)
        journal_->remove_run(rest);
    }
    if (from > run.chunk_offset) {
      journal_->set_length(index, static_cast<std::uint32_t>(from - run.chunk_offset));
      ++at;
    } else {
      journal_->remove_run(index);
      at = runs_.erase(at);
    }
  }
}

}  // namespace dfs
