#include "server/storage/segment_files.h"

#include <charconv>
#include <iterator>

#include <fmt/format.h>

namespace dfs::storage {
namespace {

constexpr std::string_view kSuffix = ".segment";
constexpr std::size_t kDigits = 10;

}  // namespace

std::string segment_file_name(std::uint32_t number) {
  return fmt::format("{:010}{}", number, kSuffix);
}

std::optional<std::uint32_t> parse_segment_file_name(std::string_view name) {
  if (name.size() != kDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, number);
  if (error != std::errc{} || end != name.data() + kDigits) return std::nullopt;
  return number;
}

SegmentFiles::SegmentFiles(Disk& disk, std::filesystem::path directory, std::size_t open_max)
    : disk_(disk), directory_(std::move(directory)), open_max_(open_max) {}

std::filesystem::path SegmentFiles::path(std::uint32_t number) const {
  return directory_ / segment_file_name(number);
}

Result<std::shared_ptr<DiskFile>> SegmentFiles::open(std::uint32_t number) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_number_.find(number); found != by_number_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return found->second->file;
    }
  }
  auto opened = disk_.open(path(number));
  if (!opened && opened.error().code == Errc::overloaded) {
    close_half();
    opened = disk_.open(path(number));
  }
  auto file = TRY(std::move(opened));
  remember(number, file);
  return file;
}

Result<std::shared_ptr<DiskFile>> SegmentFiles::create(std::uint32_t number) {
  auto created = disk_.create(path(number));
  if (!created && created.error().code == Errc::overloaded) {
    close_half();
    created = disk_.create(path(number));
  }
  auto file = TRY(std::move(created));
  if (const auto synced = disk_.sync_directory(directory_); !synced) {
    // Left behind it would be in the way of the next attempt.
    if (const auto removed = disk_.remove(path(number)); !removed) return fail(removed.error());
    return fail(synced.error());
  }
  remember(number, file);
  return file;
}

Result<void> SegmentFiles::remove(std::uint32_t number) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_number_.find(number); found != by_number_.end()) {
      recent_.erase(found->second);
      by_number_.erase(found);
    }
  }
  return disk_.remove(path(number));
}

std::size_t SegmentFiles::open_count() const {
  const std::lock_guard lock(mutex_);
  return recent_.size();
}

void SegmentFiles::close_half() {
  std::list<Open> closed;  // outside the lock
  const std::lock_guard lock(mutex_);
  const auto kept = static_cast<std::ptrdiff_t>(recent_.size() / 2);
  closed.splice(closed.end(), recent_, std::next(recent_.begin(), kept), recent_.end());
  for (const Open& each : closed) by_number_.erase(each.number);
}

void SegmentFiles::remember(std::uint32_t number, std::shared_ptr<DiskFile> file) {
  std::shared_ptr<DiskFile> closed;  // outside the lock
  const std::lock_guard lock(mutex_);
  if (by_number_.contains(number)) return;  // two opened it at once
  recent_.push_front({number, std::move(file)});
  by_number_[number] = recent_.begin();
  if (recent_.size() <= open_max_) return;
  closed = std::move(recent_.back().file);
  by_number_.erase(recent_.back().number);
  recent_.pop_back();
}

}  // namespace dfs::storage
