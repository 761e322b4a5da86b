#include "common/rpc/operation_table.h"

#include <atomic>

namespace dfs {
namespace {

// The process may be killed between any two stores, and then they have all
// happened or not: what counts is that the compiler keeps their order.
void in_this_order() { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace

OperationTable::OperationTable(MutableBuffer memory)
    : slots_(reinterpret_cast<Slot*>(memory.data())) {
  invariant(memory.size() >= bytes(), "the table has its memory");
  for (std::size_t at = kOperationsMax; at-- > 0;) {
    Slot& slot = slots_[at];
    if (slot.operation == 0) {
      free_.push_back(at);
      continue;
    }
    Running running;
    running.slot = at;
    for (std::size_t each = 0; each < kMutationsMax; ++each) {
      if (slot.mutations[each].sequence == 0) continue;
      running.untaken |= 1U << each;
      open_.insert(slot.mutations[each].sequence);
    }
    running_[slot.operation - 1] = running;
  }
}

void OperationTable::begin(std::uint64_t operation) {
  const std::lock_guard lock(mutex_);
  running_[operation].began_here = true;
}

std::optional<std::uint64_t> OperationTable::take(std::uint64_t operation, std::uint64_t identity) {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(operation);
  if (found == running_.end()) return std::nullopt;
  Running& running = found->second;
  if (running.untaken == 0) return std::nullopt;
  const Slot& slot = slots_[running.slot];
  for (std::size_t each = 0; each < kMutationsMax; ++each) {
    const std::uint32_t bit = 1U << each;
    if ((running.untaken & bit) == 0 || slot.mutations[each].identity != identity) continue;
    running.untaken &= ~bit;
    return slot.mutations[each].sequence;
  }
  return std::nullopt;
}

void OperationTable::record(std::uint64_t operation, std::uint64_t identity,
                            std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  Slot* const slot = slot_locked(operation);
  if (slot == nullptr) return;
  for (Mutation& mutation : slot->mutations) {
    if (mutation.sequence != 0) continue;
    mutation.identity = identity;
    in_this_order();
    mutation.sequence = sequence;
    open_.insert(sequence);
    return;
  }
}

// Null: it is over, or there is no room.
OperationTable::Slot* OperationTable::slot_locked(std::uint64_t operation) {
  const auto found = running_.find(operation);
  if (found == running_.end()) return nullptr;
  Running& running = found->second;
  if (running.slot == kNone) {
    if (free_.empty()) return nullptr;
    running.slot = free_.back();
    free_.pop_back();
    slots_[running.slot] = {};
    in_this_order();
    slots_[running.slot].operation = operation + 1;
  }
  return &slots_[running.slot];
}

void OperationTable::note(std::uint64_t operation, const Note& note) {
  const std::lock_guard lock(mutex_);
  Slot* const slot = slot_locked(operation);
  if (slot == nullptr) return;
  slot->note.offset = note.offset;
  in_this_order();
  slot->note.inode = note.inode;
}

std::optional<OperationTable::Note> OperationTable::noted(std::uint64_t operation) const {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(operation);
  if (found == running_.end() || found->second.slot == kNone) return std::nullopt;
  const Note& note = slots_[found->second.slot].note;
  return note.inode != 0 ? std::optional(note) : std::nullopt;
}

std::vector<std::pair<std::uint64_t, OperationTable::Note>> OperationTable::notes() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::uint64_t, Note>> all;
  for (const auto& [operation, running] : running_)
    if (running.slot != kNone && slots_[running.slot].note.inode != 0)
      all.emplace_back(operation, slots_[running.slot].note);
  return all;
}

void OperationTable::drop_note(std::uint64_t operation) {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(operation);
  if (found != running_.end() && found->second.slot != kNone)
    slots_[found->second.slot].note.inode = 0;
}

void OperationTable::over(std::uint64_t operation) {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(operation);
  if (found == running_.end()) return;
  free_locked(found->second);
  running_.erase(found);
}

void OperationTable::free_locked(const Running& running) {
  if (running.slot == kNone) return;
  Slot& slot = slots_[running.slot];
  for (const Mutation& mutation : slot.mutations)
    if (const auto open = open_.find(mutation.sequence); open != open_.end()) open_.erase(open);
  slot.operation = 0;
  free_.push_back(running.slot);
}

std::optional<std::uint64_t> OperationTable::oldest() const {
  const std::lock_guard lock(mutex_);
  if (open_.empty()) return std::nullopt;
  return *open_.begin();
}

void OperationTable::forget_sequences() {
  const std::lock_guard lock(mutex_);
  for (auto& [operation, running] : running_) {
    free_locked(running);
    running.slot = kNone;
    running.untaken = 0;
  }
  open_.clear();
}

std::size_t OperationTable::end_abandoned() {
  const std::lock_guard lock(mutex_);
  return std::erase_if(running_, [this](auto& each) {
    if (each.second.began_here) return false;
    free_locked(each.second);
    return true;
  });
}

bool OperationTable::is_running(std::uint64_t operation) const {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(operation);
  return found != running_.end() && found->second.began_here;
}

std::size_t OperationTable::size() const {
  const std::lock_guard lock(mutex_);
  return running_.size();
}

}  // namespace dfs
