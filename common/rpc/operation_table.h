// Which mutations an operation has sent, by their sequences, in memory that outlives
// the process: if that is killed before the operation was answered, the one that
// follows runs it again, and each mutation takes the sequence that it had. So the
// metadata server answers it from its stored response instead of doing it twice.
//
// An operation is what somebody waits for, who asks again if no answer comes; it is
// known by a number that names no other one. It is over once it has been answered.
// A mutation is known within it by its identity: what it is about, and not what
// another run may say otherwise (the time, what is known by then).
//
//   recorded before it is sent;
//   the responses to all sequences from oldest() on are kept by the server.
//
// Bounds: kOperationsMax at once and kMutationsMax of each; a mutation beyond them
// happens twice if the process is killed at the wrong moment.
// Threads: any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace dfs {

class OperationTable {
 public:
  static constexpr std::uint32_t kLayout = 1;
  static constexpr std::size_t kOperationsMax = 4096;
  static constexpr std::size_t kMutationsMax = 6;

  // Bytes of the memory that it needs.
  static constexpr std::size_t bytes() { return kOperationsMax * sizeof(Slot); }
  // `memory` is page-aligned, outlives the table and is zero or was a former table's.
  explicit OperationTable(MutableBuffer memory);
  OperationTable(const OperationTable&) = delete;
  OperationTable& operator=(const OperationTable&) = delete;

  // It has begun, or does so again.
  void begin(std::uint64_t operation);
  // The sequence that a former process gave to the mutation, if there is one; once.
  std::optional<std::uint64_t> take(std::uint64_t operation, std::uint64_t identity);
  // Where in a file the operation has written, or is about to: an append that comes
  // again goes where it went. Kept as mutations are.
  struct Note {
    std::uint64_t inode = 0;
    std::uint64_t offset = 0;
  };
  void note(std::uint64_t operation, const Note& note);
  std::optional<Note> noted(std::uint64_t operation) const;
  std::vector<std::pair<std::uint64_t, Note>> notes() const;
  // It did not come to write there.
  void drop_note(std::uint64_t operation);

  // Nothing happens if the operation is over, or has not begun.
  void record(std::uint64_t operation, std::uint64_t identity, std::uint64_t sequence);
  void over(std::uint64_t operation);

  // The least sequence of an operation that is not over; empty: there is none.
  std::optional<std::uint64_t> oldest() const;
  // The session is another one: no sequence means anything any more.
  void forget_sequences();
  // Operations of the former process that have not begun here are over: whoever
  // waited for them has gone.
  std::size_t end_abandoned();
  // It has begun here and is not over.
  bool is_running(std::uint64_t operation) const;
  std::size_t size() const;

 private:
  struct Mutation {
    std::uint64_t identity;
    std::uint64_t sequence;  // 0: none; stored last
  };
  struct Slot {
    std::uint64_t operation;  // plus 1; 0: free
    std::uint64_t reserved;
    Note note;                // no inode: none; the inode is stored last
    std::array<Mutation, kMutationsMax> mutations;
  };
  static_assert(sizeof(Slot) == 128);
  struct Running {
    std::size_t slot = kNone;  // none before the first mutation
    bool began_here = false;
    std::uint32_t untaken = 0;  // bits of the mutations of a former process
  };
  static constexpr std::size_t kNone = SIZE_MAX;

  Slot* slot_locked(std::uint64_t operation);
  void free_locked(const Running& running);

  Slot* const slots_;
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, Running> running_;
  std::vector<std::size_t> free_;
  std::multiset<std::uint64_t> open_;
};

// What a mutation carries along of the operation that it is a part of.
struct OperationId {
  OperationTable* table = nullptr;  // null: none
  std::uint64_t number = 0;
};

// An operation, from its begin to its answer, which comes before this ends. What
// changes nothing costs nothing: the table hears of it with the first mutation.
class RunningOperation {
 public:
  enum class Run { first, repeated };
  // Without a table nobody would ask again.
  RunningOperation(OperationTable* table, std::uint64_t number, Run run) : id_{table, number} {
    if (table != nullptr && run == Run::repeated) enter();
  }
  ~RunningOperation() {
    if (entered_) id_.table->over(id_.number);
  }
  RunningOperation(const RunningOperation&) = delete;
  RunningOperation& operator=(const RunningOperation&) = delete;

  // For a mutation of it; by the thread that runs it.
  const OperationId& id() {
    if (id_.table != nullptr && !entered_) enter();
    return id_;
  }
  // It ends here without an answer, and will be run anew.
  void put_off() { entered_ = false; }

 private:
  void enter() {
    id_.table->begin(id_.number);
    entered_ = true;
  }

  const OperationId id_;
  bool entered_ = false;
};

}  // namespace dfs
