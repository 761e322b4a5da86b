#include "server/storage/segment.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace dfs::storage {
namespace {

// Small records are handed to the disk in runs of at least this size.
constexpr std::uint64_t kWritebackRun = 8 * MiB;

}  // namespace

Segment::Segment(const SegmentHeader& header, std::shared_ptr<DiskFile> file, std::uint64_t end,
                 std::uint64_t limit)
    : header_(header),
      file_(std::move(file)),
      limit_(limit),
      end_(end),
      hinted_end_(end),
      ahead_(end) {}

std::optional<std::uint64_t> Segment::reserve(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (end_ + bytes > limit_ && end_ > kSegmentHeaderBytes) return std::nullopt;
  const std::uint64_t place = end_;
  write_ahead_locked(bytes);
  end_ += bytes;
  unreleased_.insert(unreleased_.end(), place);
  return place;
}

// Under the lock: nobody may be given a place among zeros that are still to
// be written.
void Segment::write_ahead_locked(std::uint64_t bytes) {
  const std::uint64_t wanted = ahead_.before_append(end_, bytes);
  if (wanted == 0) return;
  static const std::vector<std::byte> zeros(kBlockSize);
  const std::uint64_t stop = std::max(std::min(end_ + wanted, limit_), end_);
  for (std::uint64_t at = end_; at < stop; at += zeros.size()) {
    const BufferView piece =
        BufferView(zeros).first(std::min<std::uint64_t>(zeros.size(), stop - at));
    // They are a convenience: the record's own write will tell what is wrong.
    if (!file_->write(at, {&piece, 1})) return ahead_.given_up(at);
  }
}

SyncTicket Segment::written() {
  const std::lock_guard lock(mutex_);
  return ++written_;
}

void Segment::release(std::uint64_t place) {
  const std::lock_guard lock(mutex_);
  unreleased_.erase(place);
}

std::uint64_t Segment::settled_end() const {
  const std::lock_guard lock(mutex_);
  return unreleased_.empty() ? end_ : *unreleased_.begin();
}

std::uint64_t Segment::end() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

bool Segment::idle() const {
  const std::lock_guard lock(mutex_);
  return unreleased_.empty();
}

Result<void> Segment::sync_through(SyncTicket ticket) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (failed_) return fail(*failed_);
    if (synced_ >= ticket) return {};
    if (syncing_) {
      sync_done_.wait(lock);
      continue;
    }
    syncing_ = true;
    const SyncTicket through = written_;
    lock.unlock();
    auto done = file_->sync();
    lock.lock();
    syncing_ = false;
    if (done) {
      synced_ = through;
      ahead_.synced();
    } else {
      failed_ = std::move(done).error();
    }
    sync_done_.notify_all();
  }
}

void Segment::start_writeback() {
  std::uint64_t start = 0;
  std::uint64_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    if (end_ < hinted_end_ + kWritebackRun) return;
    start = std::exchange(hinted_end_, end_);
    bytes = end_ - start;
  }
  file_->start_writeback(start, bytes);
}

bool Segment::is_synced(SyncTicket ticket) const {
  const std::lock_guard lock(mutex_);
  return synced_ >= ticket && !failed_;
}

SyncTicket Segment::last_ticket() const {
  const std::lock_guard lock(mutex_);
  return written_;
}

Result<void> Segment::seal() {
  SegmentHeader sealed = header_;
  sealed.sealed = true;
  bool has_tail = false;
  {
    const std::lock_guard lock(mutex_);
    invariant(unreleased_.empty() && synced_ == written_, "only a stable segment is sealed");
    sealed.end = end_;
    has_tail = ahead_.zeroed_to() > end_;
  }
  if (has_tail) TRY(file_->truncate(sealed.end));
  const SegmentHeaderBytes bytes = encode(sealed);
  const BufferView piece(bytes);
  TRY(file_->write(0, {&piece, 1}));
  return file_->sync();
}

}  // namespace dfs::storage
