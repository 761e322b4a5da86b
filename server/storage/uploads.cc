#include "server/storage/uploads.h"

#include <algorithm>

namespace dfs::storage {

std::shared_ptr<Upload> Uploads::find(ChunkId chunk) {
  const std::lock_guard lock(mutex_);
  const auto found = slots_.find(chunk);
  if (found == slots_.end()) return nullptr;
  found->second.touched = clock_.now();
  return found->second.upload;
}

std::shared_ptr<Upload> Uploads::add(std::shared_ptr<Upload> upload) {
  const std::lock_guard lock(mutex_);
  const ChunkId chunk = upload->meta.chunk;
  return slots_.try_emplace(chunk, Slot{std::move(upload), clock_.now()}).first->second.upload;
}

void Uploads::remove(const Upload& upload) {
  const std::lock_guard lock(mutex_);
  const auto found = slots_.find(upload.meta.chunk);
  if (found != slots_.end() && found->second.upload.get() == &upload) slots_.erase(found);
}

std::vector<std::shared_ptr<Upload>> Uploads::overdue(std::chrono::nanoseconds idle_max,
                                                      std::size_t count_max) const {
  const std::lock_guard lock(mutex_);
  std::vector<const Slot*> by_age;
  for (const auto& [chunk, slot] : slots_) by_age.push_back(&slot);
  std::sort(by_age.begin(), by_age.end(),
            [](const Slot* a, const Slot* b) { return a->touched < b->touched; });
  const std::size_t beyond = by_age.size() > count_max ? by_age.size() - count_max : 0;
  std::vector<std::shared_ptr<Upload>> overdue;
  for (std::size_t i = 0; i < by_age.size(); ++i) {
    if (i < beyond || clock_.now() - by_age[i]->touched >= idle_max)
      overdue.push_back(by_age[i]->upload);
  }
  return overdue;
}

std::size_t Uploads::count() const {
  const std::lock_guard lock(mutex_);
  return slots_.size();
}

}  // namespace dfs::storage
