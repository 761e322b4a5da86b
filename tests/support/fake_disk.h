// A Disk in memory that misbehaves on request: errors, short writes, flipped
// bits, no space, and power loss as a real disk has it.
//
// lose_power() keeps what was synced. Of everything else it keeps, seeded,
// some: each 4 KiB page is the old one, the new one or (if it never was on
// disk) rubbish; a file's length is anywhere between the old and the new; of
// the changes of a directory a prefix happened. Files that were open then
// fail with `io`.
//
// Threads: any.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "server/storage/disk.h"

namespace dfs::storage {

class FakeDisk final : public Disk {
 public:
  enum class Operation { write, read, sync, punch, open, create, remove, sync_directory };

  explicit FakeDisk(std::uint64_t capacity = std::uint64_t{1} << 40) : capacity_(capacity) {}

  // --- misbehaving ------------------------------------------------------------------

  // After `skip` more successes, the next `count` such operations fail.
  void fail_next(Operation operation, Errc code, int count = 1, int skip = 0) {
    const std::lock_guard lock(mutex_);
    faults_[operation] = {code, count, skip};
  }
  // The next write stores only `bytes` of what it should, then fails.
  void cut_next_write(std::uint64_t bytes, Errc code) {
    const std::lock_guard lock(mutex_);
    cut_ = {{bytes, code}};
  }
  // Changes a byte of a file, on stable media and everywhere.
  void flip(const std::filesystem::path& path, std::uint64_t offset) {
    const std::lock_guard lock(mutex_);
    Inode& inode = *names_.at(path);
    if (offset < inode.now.size()) inode.now[offset] ^= std::byte{0x40};
    if (offset < inode.safe.size()) inode.safe[offset] ^= std::byte{0x40};
  }
  void set_capacity(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    capacity_ = bytes;
  }
  // While set, read_cached() says `again`.
  void set_cold(bool cold) {
    const std::lock_guard lock(mutex_);
    cold_ = cold;
  }
  // As if the process that uses it were killed: its files are closed, what it
  // wrote is still there.
  void close_files() {
    const std::lock_guard lock(mutex_);
    ++generation_;
  }
  void lose_power(std::uint32_t seed) {
    const std::lock_guard lock(mutex_);
    std::mt19937 random(seed);
    names_.clear();
    for (auto& [directory, state] : directories_) {
      Names kept = state.safe;
      const std::size_t happened = random() % (state.changes.size() + 1);
      for (std::size_t i = 0; i < happened; ++i) state.changes[i](kept);
      for (auto& [path, inode] : kept) names_[path] = inode;
      state.safe = std::move(kept);
      state.changes.clear();
    }
    std::set<Inode*> done;
    for (auto& [path, inode] : names_) {
      if (done.insert(inode.get()).second) inode->lose_power(random);
    }
    ++generation_;
  }

  // --- counting -----------------------------------------------------------------------

  int count(Operation operation) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(operation);
    return found == counts_.end() ? 0 : found->second;
  }
  // Bytes of all start_writeback() together.
  std::uint64_t written_back() const {
    const std::lock_guard lock(mutex_);
    return written_back_;
  }
  bool exists(const std::filesystem::path& path) const {
    const std::lock_guard lock(mutex_);
    return names_.contains(path);
  }
  // Runs in sync() of any file, before it takes effect; for tests that make
  // somebody wait. Called without locks.
  void on_sync(std::function<void()> hook) {
    const std::lock_guard lock(mutex_);
    on_sync_ = std::move(hook);
  }

  // --- Disk -----------------------------------------------------------------------------

  Result<std::shared_ptr<DiskFile>> open(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    TRY(maybe_fail(Operation::open));
    const auto found = names_.find(path);
    if (found == names_.end()) return fail(Errc::not_found, "open " + path.string());
    return std::make_shared<File>(*this, found->second, generation_);
  }
  Result<std::shared_ptr<DiskFile>> create(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    TRY(maybe_fail(Operation::create));
    if (names_.contains(path)) return fail(Errc::exists, "create " + path.string());
    auto inode = std::make_shared<Inode>();
    names_[path] = inode;
    change(path, [path, inode](auto& names) { names[path] = inode; });
    return std::make_shared<File>(*this, inode, generation_);
  }
  Result<void> remove(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    TRY(maybe_fail(Operation::remove));
    if (names_.erase(path) == 0) return fail(Errc::not_found, "remove " + path.string());
    change(path, [path](auto& names) { names.erase(path); });
    return {};
  }
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(from);
    if (found == names_.end()) return fail(Errc::not_found, "rename " + from.string());
    const InodePtr inode = found->second;
    names_.erase(found);
    names_[to] = inode;
    change(to, [from, to, inode](auto& names) {
      names.erase(from);
      names[to] = inode;
    });
    return {};
  }
  Result<void> make_directory(const std::filesystem::path&) override { return {}; }
  Result<std::vector<std::string>> list(const std::filesystem::path& directory) override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [path, inode] : names_) {
      if (path.parent_path() == directory) names.push_back(path.filename().string());
    }
    return names;
  }
  Result<void> sync_directory(const std::filesystem::path& directory) override {
    const std::lock_guard lock(mutex_);
    TRY(maybe_fail(Operation::sync_directory));
    auto& state = directories_[directory];
    for (const auto& happen : state.changes) happen(state.safe);
    state.changes.clear();
    return {};
  }
  Result<DiskSpace> space(const std::filesystem::path&) override {
    const std::lock_guard lock(mutex_);
    const std::uint64_t used = used_locked();
    return DiskSpace{.total = capacity_, .available = capacity_ - std::min(capacity_, used)};
  }

 private:
  using Page = std::uint64_t;

  struct Inode {
    std::vector<std::byte> now;
    std::vector<std::byte> safe;
    std::set<Page> dirty;  // changed since the last sync
    std::set<Page> holes;  // punched, in `now`

    void touch(std::uint64_t offset, std::uint64_t length, bool hole) {
      for (Page page = offset / kDiskBlock; page * kDiskBlock < offset + length; ++page) {
        dirty.insert(page);
        if (hole) {
          holes.insert(page);
        } else {
          holes.erase(page);
        }
      }
    }
    void sync() {
      safe.resize(now.size());
      for (const Page page : dirty) copy_page(now, safe, page);
      dirty.clear();
    }
    static void copy_page(const std::vector<std::byte>& from, std::vector<std::byte>& to, Page page) {
      const std::uint64_t start = page * kDiskBlock;
      const std::uint64_t end = std::min<std::uint64_t>({start + kDiskBlock, from.size(), to.size()});
      if (start < end) std::memcpy(to.data() + start, from.data() + start, end - start);
    }
    void lose_power(std::mt19937& random) {
      const std::size_t least = std::min(safe.size(), now.size());
      const std::size_t most = std::max(safe.size(), now.size());
      std::vector<std::byte> after = safe;
      after.resize(least + random() % (most - least + 1));
      for (const Page page : dirty) {
        const bool was_there = page * kDiskBlock < safe.size();
        switch (random() % 4) {
          case 0:
            break;  // old
          case 1:
            if (was_there) break;
            for (std::uint64_t at = page * kDiskBlock;
                 at < std::min<std::uint64_t>((page + 1) * kDiskBlock, after.size()); ++at)
              after[at] = static_cast<std::byte>(random());
            break;
          default:
            copy_page(now, after, page);
        }
      }
      now = after;
      safe = std::move(after);
      dirty.clear();
      holes.clear();
    }
  };
  using InodePtr = std::shared_ptr<Inode>;
  using Names = std::map<std::filesystem::path, InodePtr>;

  struct Directory {
    Names safe;
    std::vector<std::function<void(Names&)>> changes;
  };
  struct Fault {
    Errc code;
    int count;
    int skip;
  };

  class File final : public DiskFile {
   public:
    File(FakeDisk& disk, InodePtr inode, int generation)
        : disk_(disk), inode_(std::move(inode)), generation_(generation) {}

    Result<void> write(std::uint64_t offset, std::span<const BufferView> pieces) override {
      const std::lock_guard lock(disk_.mutex_);
      TRY(check(Operation::write));
      std::uint64_t limit = ~std::uint64_t{0};
      Result<void> result;
      if (disk_.cut_) {
        limit = disk_.cut_->first;
        result = fail(disk_.cut_->second, "the write was cut");
        disk_.cut_.reset();
      }
      std::uint64_t length = 0;
      for (const BufferView piece : pieces) length += piece.size();
      if (disk_.used_locked() + length > disk_.capacity_) {
        limit = 0;
        result = fail(Errc::no_space, "the disk is full");
      }
      for (BufferView piece : pieces) {
        piece = piece.first(std::min<std::uint64_t>(piece.size(), limit));
        limit -= piece.size();
        if (piece.empty()) continue;
        if (inode_->now.size() < offset + piece.size()) inode_->now.resize(offset + piece.size());
        std::memcpy(inode_->now.data() + offset, piece.data(), piece.size());
        inode_->touch(offset, piece.size(), false);
        offset += piece.size();
      }
      return result;
    }
    Result<std::size_t> read(std::uint64_t offset, MutableBuffer into) const override {
      const std::lock_guard lock(disk_.mutex_);
      TRY(check(Operation::read));
      return copy_out(offset, into);
    }
    Result<std::size_t> read_cached(std::uint64_t offset, MutableBuffer into) const override {
      const std::lock_guard lock(disk_.mutex_);
      if (disk_.cold_ || offset + into.size() > inode_->now.size()) return fail(Errc::again);
      return copy_out(offset, into);
    }
    Result<void> sync() override {
      std::function<void()> hook;
      {
        const std::lock_guard lock(disk_.mutex_);
        hook = disk_.on_sync_;
      }
      if (hook) hook();
      const std::lock_guard lock(disk_.mutex_);
      TRY(check(Operation::sync));
      inode_->sync();
      return {};
    }
    void start_writeback(std::uint64_t, std::uint64_t length) override {
      const std::lock_guard lock(disk_.mutex_);
      disk_.written_back_ += length;
    }
    void will_read(std::uint64_t, std::uint64_t) const override {}
    Result<void> punch(std::uint64_t offset, std::uint64_t length) override {
      const std::lock_guard lock(disk_.mutex_);
      TRY(check(Operation::punch));
      const std::uint64_t end = std::min<std::uint64_t>(offset + length, inode_->now.size());
      if (offset >= end) return {};
      std::memset(inode_->now.data() + offset, 0, end - offset);
      inode_->touch(offset, end - offset, true);
      return {};
    }
    Result<void> truncate(std::uint64_t size) override {
      const std::lock_guard lock(disk_.mutex_);
      inode_->now.resize(size);
      return {};
    }
    Result<std::uint64_t> size() const override {
      const std::lock_guard lock(disk_.mutex_);
      return inode_->now.size();
    }
    Result<std::uint64_t> next_data(std::uint64_t offset) const override {
      const std::lock_guard lock(disk_.mutex_);
      while (offset < inode_->now.size() && inode_->holes.contains(offset / kDiskBlock))
        offset = (offset / kDiskBlock + 1) * kDiskBlock;
      return std::min<std::uint64_t>(offset, inode_->now.size());
    }

   private:
    Result<void> check(Operation operation) const {
      if (generation_ != disk_.generation_) return fail(Errc::io, "the power failed");
      return disk_.maybe_fail(operation);
    }
    std::size_t copy_out(std::uint64_t offset, MutableBuffer into) const {
      if (offset >= inode_->now.size()) return 0;
      const std::size_t length = std::min<std::size_t>(into.size(), inode_->now.size() - offset);
      std::memcpy(into.data(), inode_->now.data() + offset, length);
      return length;
    }

    FakeDisk& disk_;
    const InodePtr inode_;
    const int generation_;
  };

  Result<void> maybe_fail(Operation operation) {
    ++counts_[operation];
    const auto found = faults_.find(operation);
    if (found == faults_.end() || found->second.count == 0) return {};
    if (found->second.skip > 0) {
      --found->second.skip;
      return {};
    }
    --found->second.count;
    return fail(found->second.code, "the disk was told to fail");
  }
  void change(const std::filesystem::path& path, std::function<void(Names&)> happen) {
    directories_[path.parent_path()].changes.push_back(std::move(happen));
  }
  std::uint64_t used_locked() const {
    std::uint64_t used = 0;
    for (const auto& [path, inode] : names_)
      used += inode->now.size() - std::min<std::uint64_t>(inode->now.size(), inode->holes.size() * kDiskBlock);
    return used;
  }

  mutable std::mutex mutex_;
  std::uint64_t capacity_;
  Names names_;
  std::map<std::filesystem::path, Directory> directories_;
  std::map<Operation, Fault> faults_;
  std::map<Operation, int> counts_;
  std::optional<std::pair<std::uint64_t, Errc>> cut_;
  std::function<void()> on_sync_;
  bool cold_ = false;
  std::uint64_t written_back_ = 0;
  int generation_ = 0;
};

}  // namespace dfs::storage
