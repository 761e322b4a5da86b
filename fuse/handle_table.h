// What the kernel holds open, behind the numbers it knows it by
// (adoption/handle_records.h).
//
// Threads: any. The kernel uses a number only between the reply that named it
// and the release of it, so get() needs no lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "fuse/adoption/handle_records.h"

namespace dfs::fuse {

template <typename Handle>
class HandleTable {
 public:
  // `records` must outlive the table.
  explicit HandleTable(HandleRecords& records) : records_(records) {}
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;
  ~HandleTable() {
    take_all();
    for (auto& segment : segments_) delete segment.load();
  }

  // Empty, and `handle` is as it was: too many are open.
  std::optional<std::uint64_t> add(std::unique_ptr<Handle>& handle, const HandleRecord& record) {
    const std::optional<std::uint64_t> number = records_.add(record);
    if (number) put(*number, std::move(handle));
    return number;
  }
  // A number that a former process gave.
  void put(std::uint64_t number, std::unique_ptr<Handle> handle) {
    place(number).store(handle.release(), std::memory_order_release);
  }
  Handle& get(std::uint64_t number) {
    Handle* const handle = place(number).load(std::memory_order_acquire);
    invariant(handle != nullptr, "the kernel uses what it was given");
    return *handle;
  }
  // Null if it has been taken: a release may come again whose answer got lost.
  std::unique_ptr<Handle> take(std::uint64_t number) {
    if (records_.find(number) == nullptr) return nullptr;
    std::unique_ptr<Handle> handle(place(number).exchange(nullptr));
    invariant(handle != nullptr, "the kernel releases what it was given");
    records_.remove(number);
    return handle;
  }
  // Without their records: this process ends, not what the kernel holds.
  std::vector<std::unique_ptr<Handle>> take_all() {
    std::vector<std::unique_ptr<Handle>> all;
    for (auto& segment : segments_) {
      Segment* const places = segment.load();
      if (places == nullptr) continue;
      for (Place& each : *places)
        if (Handle* const handle = each.exchange(nullptr)) all.emplace_back(handle);
    }
    return all;
  }

 private:
  static constexpr std::size_t kSegment = 4096;
  using Place = std::atomic<Handle*>;
  using Segment = std::array<Place, kSegment>;

  Place& place(std::uint64_t number) {
    const std::size_t index = HandleRecords::index_of(number);
    std::atomic<Segment*>& segment = segments_[index / kSegment];
    if (segment.load(std::memory_order_acquire) == nullptr) {
      const std::lock_guard lock(growing_);
      if (segment.load() == nullptr) segment.store(new Segment{});
    }
    return (*segment.load(std::memory_order_acquire))[index % kSegment];
  }

  HandleRecords& records_;
  std::mutex growing_;
  std::array<std::atomic<Segment*>, HandleRecords::kHandlesMax / kSegment> segments_{};
};

}  // namespace dfs::fuse
