#include "fuse/adoption/handle_records.h"

#include <algorithm>
#include <atomic>

#include "common/base/result.h"

namespace dfs::fuse {
namespace {

void in_this_order() { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace

// Pages behind the last record that was ever used are not touched.
HandleRecords::HandleRecords(MutableBuffer memory)
    : records_(reinterpret_cast<HandleRecord*>(memory.data())) {
  invariant(memory.size() >= bytes(), "the records have their memory");
  free_.with([&](Free& free) {
    // A record that was used keeps what it was made for.
    for (; free.never_used < kHandlesMax; ++free.never_used) {
      const HandleRecord& record = records_[free.never_used];
      if (record.number == 0 && record.kind == 0) break;
      const std::uint64_t generation = record.generation;
      free.last_generation = std::max(free.last_generation, generation);
      if (record.number == 0) {
        free.indices.push_back(static_cast<std::uint32_t>(free.never_used));
      } else {
        former_.push_back(record);
      }
    }
  });
  made_for_.with([&](auto& all) {
    for (const HandleRecord& record : former_) all.emplace_back(record.made_for, record.number);
  });
}

std::optional<std::uint64_t> HandleRecords::add(HandleRecord fresh) {
  return free_.with([&](Free& free) -> std::optional<std::uint64_t> {
    std::size_t index = 0;
    if (!free.indices.empty()) {
      index = free.indices.back();
      free.indices.pop_back();
    } else if (free.never_used < kHandlesMax) {
      index = free.never_used++;
    } else {
      return std::nullopt;
    }
    const std::uint64_t generation = ++free.last_generation;
    const std::uint64_t number = generation << kIndexBits | index;
    fresh.number = 0;
    fresh.generation = generation;
    records_[index] = fresh;
    in_this_order();
    records_[index].number = number;
    return number;
  });
}

HandleRecord* HandleRecords::find(std::uint64_t number) const {
  HandleRecord& record = records_[index_of(number)];
  return number != 0 && record.number == number ? &record : nullptr;
}

void HandleRecords::remove(std::uint64_t number) {
  HandleRecord* const record = find(number);
  invariant(record != nullptr, "what is removed is open");
  free_.with([&](Free& free) {
    record->number = 0;
    free.indices.push_back(static_cast<std::uint32_t>(index_of(number)));
  });
}

std::optional<std::uint64_t> HandleRecords::take_made_for(std::uint64_t request) {
  return made_for_.with([&](auto& all) -> std::optional<std::uint64_t> {
    const auto made = std::find_if(all.begin(), all.end(),
                                   [&](const auto& each) { return each.first == request; });
    if (made == all.end()) return std::nullopt;
    const std::uint64_t number = made->second;
    all.erase(made);
    // It may have been released: then the kernel had heard of it.
    return find(number) != nullptr ? std::optional(number) : std::nullopt;
  });
}

}  // namespace dfs::fuse
