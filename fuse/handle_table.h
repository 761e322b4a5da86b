// What the kernel holds open, behind the numbers it knows it by.
//
// Threads: any. The kernel uses a number only between the reply that named it
// and the release of it, so get() needs no lock.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/base/guarded.h"
#include "common/base/result.h"

namespace dfs::fuse {

template <typename Handle>
class HandleTable {
 public:
  HandleTable() = default;
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;
  ~HandleTable() { take_all(); }

  std::uint64_t add(std::unique_ptr<Handle> handle) {
    Handle* const added = handle.release();
    handles_.with([&](auto& handles) { handles.insert(added); });
    return reinterpret_cast<std::uint64_t>(added);
  }
  static Handle& get(std::uint64_t number) { return *reinterpret_cast<Handle*>(number); }

  std::unique_ptr<Handle> take(std::uint64_t number) {
    Handle* const handle = &get(number);
    const bool known = handles_.with([&](auto& handles) { return handles.erase(handle) == 1; });
    invariant(known, "the kernel releases what it was given, once");
    return std::unique_ptr<Handle>(handle);
  }
  std::vector<std::unique_ptr<Handle>> take_all() {
    const auto handles =
        handles_.with([](auto& table) { return std::exchange(table, {}); });
    std::vector<std::unique_ptr<Handle>> all;
    for (Handle* handle : handles) all.emplace_back(handle);
    return all;
  }

 private:
  Guarded<std::unordered_set<Handle*>> handles_;
};

}  // namespace dfs::fuse
