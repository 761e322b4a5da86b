#include "common/kv/rocksdb_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <fstream>
#include <utility>
#include <vector>

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/base/sanitized.h"
#include "common/base/unique_fd.h"
#include "common/kv/disk_reserve.h"
#include "common/kv/rocksdb_log.h"
#include "common/kv/zero_ahead_files.h"

namespace dfs {
namespace {

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view(rocksdb::Slice text) { return {text.data(), text.size()}; }

Errc code_of(const rocksdb::Status& status) {
  if (status.IsNoSpace()) return Errc::no_space;
  if (status.IsCorruption()) return Errc::corrupt;
  if (status.IsBusy()) return Errc::busy;
  if (status.IsMemoryLimit()) return Errc::no_memory;
  if (is_out_of_descriptors(status)) return Errc::overloaded;
  return Errc::io;
}

tl::unexpected<Error> fail_rocksdb(const rocksdb::Status& status, std::string_view doing) {
  return fail(code_of(status), fmt::format("{}: {}", doing, status.ToString()));
}

// RocksDB's own words, in our log and not in files of its own.
class LogBridge final : public rocksdb::Logger {
 public:
  LogBridge() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
  }
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < GetInfoLogLevel() || level == rocksdb::InfoLogLevel::HEADER_LEVEL) return;
    std::array<char, 1024> buffer{};
    std::vsnprintf(buffer.data(), buffer.size(), format, arguments);
    std::string_view text = buffer.data();
    while (text.ends_with('\n')) text.remove_suffix(1);
    if (level == rocksdb::InfoLogLevel::WARN_LEVEL) {
      log_warn("kv", "{}", text);
    } else {
      log_error("kv", "{}", text);
    }
  }
};

class Cursor final : public KvCursor {
 public:
  explicit Cursor(std::unique_ptr<rocksdb::Iterator> at) : at_(std::move(at)) {}
  void seek(std::string_view key) override { at_->Seek(slice(key)); }
  void seek_for_previous(std::string_view key) override { at_->SeekForPrev(slice(key)); }
  void next() override { at_->Next(); }
  void previous() override { at_->Prev(); }
  bool valid() const override { return at_->Valid(); }
  std::string_view key() const override { return view(at_->key()); }
  std::string_view value() const override { return view(at_->value()); }
  Result<void> status() const override {
    const rocksdb::Status status = at_->status();
    if (!status.ok()) return fail_rocksdb(status, "reading the store");
    return {};
  }

 private:
  const std::unique_ptr<rocksdb::Iterator> at_;
};

std::unique_ptr<KvCursor> cursor_of(rocksdb::DB& database, const rocksdb::ReadOptions& options) {
  std::unique_ptr<rocksdb::Iterator> at(database.NewIterator(options));
  taken_over(&database);
  return std::make_unique<Cursor>(std::move(at));
}

class Snapshot final : public KvSnapshot {
 public:
  explicit Snapshot(rocksdb::DB& database) : database_(database), at_(database.GetSnapshot()) {}
  ~Snapshot() override { database_.ReleaseSnapshot(at_); }
  std::unique_ptr<KvCursor> cursor() const override {
    rocksdb::ReadOptions options;
    options.snapshot = at_;
    options.fill_cache = false;
    return cursor_of(database_, options);
  }

 private:
  rocksdb::DB& database_;
  const rocksdb::Snapshot* const at_;
};

void fill(rocksdb::WriteBatch& batch, const KvBatch& changes) {
  for (const KvBatch::Change change : changes.changes()) {
    rocksdb::Status status;
    switch (change.kind) {
      case KvBatch::Change::Kind::put: status = batch.Put(slice(change.key), slice(change.value)); break;
      case KvBatch::Change::Kind::erase: status = batch.Delete(slice(change.key)); break;
      case KvBatch::Change::Kind::erase_range:
        if (change.key < change.value) status = batch.DeleteRange(slice(change.key), slice(change.value));
        break;
    }
    invariant(status.ok(), "a change below 4 GiB fits a batch");
  }
}

// More memory than this is not kept for the next batch.
constexpr std::size_t kBatchBytesKept = 1 << 20;
constexpr std::size_t kSweepAhead = 512 << 10;

class RocksDbStore final : public KvStore {
 public:
  RocksDbStore(std::filesystem::path directory, std::uint64_t reserved_bytes,
               std::unique_ptr<rocksdb::DB> database)
      : directory_(std::move(directory)),
        reserve_(DiskReserve::disk_of(directory_), reserved_bytes),
        database_(std::move(database)) {}

  // Puts the memtables into tables, so that the next start replays nothing.
  ~RocksDbStore() override {
    const rocksdb::Status flushed = database_->Flush(rocksdb::FlushOptions());
    if (!flushed.ok()) log_warn("kv", "{}: flushing at the end: {}", directory_.string(), flushed.ToString());
    const rocksdb::Status closed = database_->Close();
    if (!closed.ok()) log_error("kv", "{}: closing: {}", directory_.string(), closed.ToString());
  }

  Result<std::optional<std::string>> get(std::string_view key) const override {
    std::string value;
    taken_over(database_.get());
    const rocksdb::Status status = database_->Get(rocksdb::ReadOptions(), slice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return fail_rocksdb(status, "reading the store");
    return value;
  }

  std::unique_ptr<KvCursor> cursor() const override {
    return cursor_of(*database_, rocksdb::ReadOptions());
  }

  std::unique_ptr<KvCursor> sweep() const override {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    options.readahead_size = kSweepAhead;
    return cursor_of(*database_, options);
  }

  std::unique_ptr<KvSnapshot> snapshot() const override {
    return std::make_unique<Snapshot>(*database_);
  }

  Result<void> write(const KvBatch& changes, KvDurability durability) override {
    TRY(reserve_.admit(changes.byte_size()));
    // The calling thread's buffer, so that a write allocates nothing.
    thread_local rocksdb::WriteBatch batch;
    batch.Clear();
    const std::uint64_t synced = synced_sequence_.load(std::memory_order_relaxed);
    if (durability != KvDurability::none && marked_sequence_.exchange(synced, std::memory_order_relaxed) != synced)
      batch.PutLogData(slice(rocksdb_log::synced_mark(synced).text()));
    fill(batch, changes);

    rocksdb::WriteOptions options;
    options.sync = durability == KvDurability::stable;
    options.disableWAL = durability == KvDurability::none;
    const std::uint64_t before = database_->GetLatestSequenceNumber();
    const rocksdb::Status status = database_->Write(options, &batch);
    handed_over(database_.get());
    if (batch.GetDataSize() > kBatchBytesKept) batch = rocksdb::WriteBatch();
    log_is_whole_.store(status.ok(), std::memory_order_relaxed);
    if (!status.ok()) return fail_rocksdb(status, "writing the store");
    if (options.sync) remember_synced(before);
    return {};
  }

  Result<void> sync() override {
    // Debian's RocksDB has its assertions on: syncing a log again that failed
    // once would end the process. A write that succeeds has a new log.
    if (!log_is_whole_.load(std::memory_order_relaxed))
      return fail(Errc::io, "syncing the store: its log failed before");
    const std::uint64_t before = database_->GetLatestSequenceNumber();
    const rocksdb::Status status = database_->SyncWAL();
    if (!status.ok()) log_is_whole_.store(false, std::memory_order_relaxed);
    if (!status.ok()) return fail_rocksdb(status, "syncing the store");
    remember_synced(before);
    return {};
  }

  Result<void> flush() override {
    const rocksdb::Status status = database_->Flush(rocksdb::FlushOptions());
    if (!status.ok()) return fail_rocksdb(status, "flushing the store");
    return {};
  }

  std::uint64_t disk_bytes() const override {
    std::uint64_t bytes = 0;
    std::error_code error;
    for (const auto& file : std::filesystem::directory_iterator(directory_, error)) {
      const std::uint64_t size = file.file_size(error);
      if (!error) bytes += size;  // else: deleted meanwhile
    }
    return bytes;
  }

  std::uint64_t free_bytes() const override { return reserve_.room().value_or(0); }

 private:
  void remember_synced(std::uint64_t sequence) {
    std::uint64_t known = synced_sequence_.load(std::memory_order_relaxed);
    while (known < sequence && !synced_sequence_.compare_exchange_weak(known, sequence, std::memory_order_relaxed)) {
    }
  }

  const std::filesystem::path directory_;
  DiskReserve reserve_;
  const std::unique_ptr<rocksdb::DB> database_;
  std::atomic<bool> log_is_whole_{true};
  // What is known to be on stable media, and the last mark of it in the log
  // (rocksdb_log.h).
  std::atomic<std::uint64_t> synced_sequence_{0};
  std::atomic<std::uint64_t> marked_sequence_{0};
};

rocksdb::CompressionType best_supported(std::initializer_list<rocksdb::CompressionType> wanted) {
  const auto supported = rocksdb::GetSupportedCompressions();
  for (const rocksdb::CompressionType type : wanted) {
    if (std::find(supported.begin(), supported.end(), type) != supported.end()) return type;
  }
  return rocksdb::kNoCompression;
}

rocksdb::BlockBasedTableOptions table_options(const RocksDbConfig& config) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(config.block_cache_bytes);
  // Index and filter blocks count against the cache: memory stays bounded
  // however many tables there are.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.block_size = 8 << 10;
  table.format_version = 5;
  return table;
}

rocksdb::Options options_for(const RocksDbConfig& config) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.env = zero_ahead_files();
  options.info_log = std::make_shared<LogBridge>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;

  // Recovery stops at the first log record that does not hold, so what it
  // yields is always a prefix of what was written. Whether a synced record
  // would be lost by that is checked before (rocksdb_log.h).
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.paranoid_checks = true;
  options.manual_wal_flush = false;
  options.wal_bytes_per_sync = 0;
  options.bytes_per_sync = 1 << 20;  // tables reach the disk evenly, not at their end

  // A log would take 70 MiB when it begins, and free space then says nothing
  // about how much more can be written.
  options.allow_fallocate = false;

  options.write_buffer_size = config.write_buffer_bytes;
  options.max_write_buffer_number = 3;
  options.memtable_prefix_bloom_size_ratio = 0.02;
  options.memtable_whole_key_filtering = true;
  // (memtable_insert_with_hint_prefix_extractor would save 15 %, but in 7.8
  // a range deletion corrupts the memtable with it.)

  options.max_open_files = 512;
  // What was refused for want of a descriptor is tried again this often.
  options.bgerror_resume_retry_interval = 200'000;  // us
  options.max_manifest_file_size = 64 << 20;
  options.max_background_jobs = config.background_threads + 1;
  options.level_compaction_dynamic_level_bytes = true;
  options.compaction_readahead_size = 2 << 20;
  options.compression = best_supported({rocksdb::kLZ4Compression, rocksdb::kSnappyCompression});
  options.bottommost_compression = best_supported({rocksdb::kZSTD, rocksdb::kLZ4Compression});
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(config)));
  return options;
}

// Who holds the database's lock, as far as the kernel tells.
std::string lock_owner(const std::filesystem::path& lock_file) {
  const UniqueFd file(::open(lock_file.c_str(), O_RDWR | O_CLOEXEC));
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool is_known = file && ::fcntl(file.get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  if (!is_known) return "another process";
  std::ifstream comm("/proc/" + std::to_string(lock.l_pid) + "/comm");
  std::string name;
  std::getline(comm, name);
  return fmt::format("process {}{}", lock.l_pid, name.empty() ? "" : " (" + name + ")");
}

tl::unexpected<Error> fail_open(const std::filesystem::path& directory, const rocksdb::Status& status) {
  const std::string text = status.ToString();
  // Looking at a lock of our own process would release it: closing any
  // descriptor of a file drops the process's POSIX locks on it.
  if (text.find("lock hold by current process") != std::string::npos)
    return fail(Errc::busy, directory.string() + " is already open in this process");
  if (text.find("While lock file") != std::string::npos)
    return fail(Errc::busy, directory.string() + " is in use by " + lock_owner(directory / "LOCK"));
  return fail_rocksdb(status, "opening the store in " + directory.string());
}

}  // namespace

Result<std::unique_ptr<KvStore>> open_rocksdb(const std::filesystem::path& directory,
                                              const RocksDbConfig& config) {
  std::error_code error;
  std::filesystem::create_directory(directory, error);
  if (error) return fail_errno(error.value(), "making " + directory.string());
  TRY(rocksdb_log::check(directory));
  rocksdb::DB* database = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options_for(config), directory.string(), &database);
  if (!status.ok()) return fail_open(directory, status);
  return std::make_unique<RocksDbStore>(directory, config.reserved_bytes, std::unique_ptr<rocksdb::DB>(database));
}

}  // namespace dfs
