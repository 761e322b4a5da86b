#include "fuse/admission.h"

#include <algorithm>
#include <cstring>

#include "common/base/result.h"
#include "fuse/kernel_abi.h"

namespace dfs::fuse {

bool Admission::has_room_locked(std::size_t bytes) const {
  if (kept_.empty()) return true;
  return kept_.size() < limits_.kept_max && kept_bytes_ + bytes <= limits_.kept_bytes_max;
}

Admission::Verdict Admission::admit(BufferView request) {
  invariant(request.size() >= sizeof(fuse_in_header), "the kernel sends whole headers");
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] { return busy_ < limits_.busy_max || has_room_locked(request.size()); });
  if (busy_ < limits_.busy_max) {
    ++busy_;
    return Verdict::run;
  }
  kept_.emplace_back(request.begin(), request.end());
  kept_bytes_ += request.size();
  return Verdict::kept;
}

std::optional<std::size_t> Admission::done(MutableBuffer into) {
  std::unique_lock lock(mutex_);
  invariant(busy_ > 0, "a request that is done was admitted");
  if (kept_.empty()) {
    if (busy_-- == limits_.busy_max) room_.notify_one();
    return std::nullopt;
  }
  const std::vector<std::byte> next = std::move(kept_.front());
  kept_.pop_front();
  kept_bytes_ -= next.size();
  lock.unlock();
  room_.notify_one();
  invariant(next.size() <= into.size(), "every thread's buffer holds any request");
  std::copy(next.begin(), next.end(), into.begin());
  return next.size();
}

bool Admission::withdraw(std::uint64_t unique) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const auto& request) {
    fuse_in_header header;
    std::memcpy(&header, request.data(), sizeof header);
    return header.unique == unique;
  });
  if (found == kept_.end()) return false;
  kept_bytes_ -= found->size();
  kept_.erase(found);
  room_.notify_one();
  return true;
}

std::size_t Admission::busy() const {
  const std::lock_guard lock(mutex_);
  return busy_;
}

}  // namespace dfs::fuse
