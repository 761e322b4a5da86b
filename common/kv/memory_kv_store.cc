#include "common/kv/memory_kv_store.h"

#include <iterator>
#include <utility>

namespace dfs {

class MemoryKvStore::Cursor final : public KvCursor {
 public:
  Cursor(const MemoryKvStore& store, std::uint64_t moment) : store_(store), moment_(moment) {}
  ~Cursor() override { store_.release(moment_); }

  void seek(std::string_view key) override {
    const std::lock_guard lock(store_.mutex_);
    take_forward(store_.now_.lower_bound(key));
  }
  void seek_for_previous(std::string_view key) override {
    const std::lock_guard lock(store_.mutex_);
    take_backward(store_.now_.upper_bound(key));
  }
  void next() override {
    invariant(valid_, "only a valid cursor moves");
    const std::lock_guard lock(store_.mutex_);
    take_forward(store_.now_.upper_bound(key_));
  }
  void previous() override {
    invariant(valid_, "only a valid cursor moves");
    const std::lock_guard lock(store_.mutex_);
    take_backward(store_.now_.lower_bound(key_));
  }
  bool valid() const override { return valid_; }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return value_; }
  Result<void> status() const override { return {}; }

 private:
  // The first key at or after `at` that exists for this cursor.
  void take_forward(Table::const_iterator at) {
    for (; at != store_.now_.end(); ++at) {
      if (take(at)) return;
    }
    valid_ = false;
  }
  // The last key before `at` that exists for this cursor.
  void take_backward(Table::const_iterator at) {
    while (at != store_.now_.begin()) {
      --at;
      if (take(at)) return;
    }
    valid_ = false;
  }
  bool take(Table::const_iterator at) {
    const std::string* value = seen(at->second, moment_);
    if (value == nullptr) return false;
    key_ = at->first;
    value_ = *value;
    valid_ = true;
    return true;
  }

  const MemoryKvStore& store_;
  const std::uint64_t moment_;
  bool valid_ = false;
  std::string key_;
  std::string value_;
};

class MemoryKvStore::Snapshot final : public KvSnapshot {
 public:
  Snapshot(const MemoryKvStore& store, std::uint64_t moment) : store_(store), moment_(moment) {}
  ~Snapshot() override { store_.release(moment_); }
  std::unique_ptr<KvCursor> cursor() const override {
    store_.hold(moment_);
    return std::make_unique<Cursor>(store_, moment_);
  }

 private:
  const MemoryKvStore& store_;
  const std::uint64_t moment_;
};

const std::string* MemoryKvStore::seen(const Versions& versions, std::uint64_t moment) {
  for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
    if (version->since <= moment) return version->value ? &*version->value : nullptr;
  }
  return nullptr;
}

Result<std::optional<std::string>> MemoryKvStore::get(std::string_view key) const {
  const std::lock_guard lock(mutex_);
  const auto found = now_.find(key);
  if (found == now_.end()) return std::nullopt;
  return found->second.back().value;
}

std::unique_ptr<KvCursor> MemoryKvStore::cursor() const {
  const std::lock_guard lock(mutex_);
  cursors_at_.insert(moment_);
  return std::make_unique<Cursor>(*this, moment_);
}

std::unique_ptr<KvSnapshot> MemoryKvStore::snapshot() const {
  const std::lock_guard lock(mutex_);
  cursors_at_.insert(moment_);
  return std::make_unique<Snapshot>(*this, moment_);
}

Result<void> MemoryKvStore::write(const KvBatch& batch, KvDurability durability) {
  const std::lock_guard lock(mutex_);
  TRY(maybe_fail_locked());
  apply_locked(batch, durability);
  if (durability != KvDurability::none) log_.push_back(batch);
  if (durability == KvDurability::stable) make_log_safe_locked();
  return {};
}

Result<void> MemoryKvStore::sync() {
  const std::lock_guard lock(mutex_);
  TRY(maybe_fail_locked());
  make_log_safe_locked();
  return {};
}

Result<void> MemoryKvStore::flush() {
  const std::lock_guard lock(mutex_);
  TRY(maybe_fail_locked());
  make_log_safe_locked();
  for (const std::string& key : unlogged_keys_) {
    const auto found = now_.find(key);
    if (found != now_.end() && found->second.back().value) {
      safe_.insert_or_assign(key, *found->second.back().value);
    } else {
      safe_.erase(key);
    }
  }
  unlogged_keys_.clear();
  return {};
}

std::uint64_t MemoryKvStore::disk_bytes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t bytes = 0;
  for (const auto& [key, value] : safe_) bytes += key.size() + value.size();
  return bytes;
}

void MemoryKvStore::fail_writes(Errc code, int count) {
  const std::lock_guard lock(mutex_);
  fail_code_ = code;
  fail_count_ = count;
}

void MemoryKvStore::lose_power() {
  const std::lock_guard lock(mutex_);
  ++moment_;
  std::vector<std::string> lost;
  for (const auto& [key, versions] : now_) {
    if (!safe_.contains(key)) lost.push_back(key);
  }
  for (const std::string& key : lost) set_locked(key, std::nullopt);
  for (const auto& [key, value] : safe_) set_locked(key, value);
  log_.clear();
  unlogged_keys_.clear();
}

Result<void> MemoryKvStore::maybe_fail_locked() {
  if (fail_count_ == 0) return {};
  --fail_count_;
  return fail(fail_code_, "failed as the test asked");
}

// A version is kept beside its successor only if a cursor may see it.
void MemoryKvStore::set_locked(std::string_view key, std::optional<std::string> value) {
  const std::uint64_t last_cursor_at = cursors_at_.empty() ? 0 : *cursors_at_.rbegin();
  auto found = now_.find(key);
  if (found == now_.end()) {
    if (!value) return;
    found = now_.emplace(key, Versions{}).first;
  }
  Versions& versions = found->second;
  const bool is_seen = !cursors_at_.empty() && !versions.empty() && versions.back().since <= last_cursor_at;
  if (is_seen || versions.empty()) {
    versions.push_back({moment_, std::move(value)});
  } else {
    versions.back() = {moment_, std::move(value)};
  }
  const bool is_plain = versions.size() == 1 && versions.back().value;
  if (is_plain) return;
  if (cursors_at_.empty()) {
    now_.erase(found);
  } else {
    superseded_.emplace_back(key);
  }
}

void MemoryKvStore::apply_locked(const KvBatch& batch, KvDurability durability) {
  ++moment_;
  const auto set = [&](std::string_view key, std::optional<std::string> value) {
    if (durability == KvDurability::none) unlogged_keys_.emplace(key);
    set_locked(key, std::move(value));
  };
  for (const KvBatch::Change change : batch.changes()) {
    switch (change.kind) {
      case KvBatch::Change::Kind::put:
        set(change.key, std::string(change.value));
        break;
      case KvBatch::Change::Kind::erase:
        set(change.key, std::nullopt);
        break;
      case KvBatch::Change::Kind::erase_range: {
        auto at = now_.lower_bound(change.key);
        while (at != now_.end() && at->first < change.value) {
          const std::string key = (at++)->first;
          set(key, std::nullopt);
        }
        break;
      }
    }
  }
}

void MemoryKvStore::apply_plainly(Plain& map, const KvBatch& batch) {
  for (const KvBatch::Change change : batch.changes()) {
    switch (change.kind) {
      case KvBatch::Change::Kind::put:
        map.insert_or_assign(std::string(change.key), std::string(change.value));
        break;
      case KvBatch::Change::Kind::erase:
        if (const auto found = map.find(change.key); found != map.end()) map.erase(found);
        break;
      case KvBatch::Change::Kind::erase_range:
        if (change.key < change.value) map.erase(map.lower_bound(change.key), map.lower_bound(change.value));
        break;
    }
  }
}

void MemoryKvStore::make_log_safe_locked() {
  for (const KvBatch& batch : log_) apply_plainly(safe_, batch);
  log_.clear();
}

// For a cursor of a snapshot, which holds the same moment.
void MemoryKvStore::hold(std::uint64_t moment) const {
  const std::lock_guard lock(mutex_);
  cursors_at_.insert(moment);
}

// Called by a dying cursor or snapshot; the last one leaves each key with one version.
void MemoryKvStore::release(std::uint64_t moment) const {
  const std::lock_guard lock(mutex_);
  cursors_at_.erase(cursors_at_.find(moment));
  if (!cursors_at_.empty()) return;
  for (const std::string& key : superseded_) {
    const auto found = now_.find(key);
    if (found == now_.end()) continue;
    Versions& versions = found->second;
    versions.erase(versions.begin(), std::prev(versions.end()));
    if (!versions.back().value) now_.erase(found);
  }
  superseded_.clear();
}

}  // namespace dfs
