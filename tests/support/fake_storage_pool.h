// Storage servers in memory, behind the seam of common/rpc/storage_client.h.
//
// Like the real connections, calls return at once and complete from another
// thread. On request a server is silent, full, slow, corrupts or loses what
// it has, or does its work and loses the reply. What happens is written to an
// EventLog, which the metadata double can share, so that tests can check the
// order across both.
//
// Threads: any.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/rpc/storage_client.h"

namespace dfs {

// What the doubles did, in order.
class EventLog {
 public:
  void add(std::string event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  std::vector<std::string> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    events_.clear();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> events_;
};

// How one server behaves; changed by tests at any time.
struct FakeServerMood {
  bool silent = false;          // every call fails with `unavailable`
  bool full = false;            // puts fail with `no_space`
  bool corrupts = false;        // gets answer `corrupt`
  bool unreadable = false;      // gets answer `io`
  bool holds = false;           // calls wait until it no longer holds
  int fail_puts = 0;            // so many of the next puts fail with `put_error`
  Errc put_error = Errc::unavailable;
  int fail_gets = 0;            // so many of the next gets fail with `unavailable`
  int fail_syncs = 0;
  int lose_put_replies = 0;     // so many puts happen and are answered `unavailable`
};

class FakeStoragePool final : public StoragePool {
 public:
  explicit FakeStoragePool(std::uint32_t servers, EventLog* log = nullptr) : log_(log) {
    for (std::uint32_t i = 1; i <= servers; ++i) servers_[ServerId{i}];
    worker_ = std::thread([this] { run(); });
  }
  ~FakeStoragePool() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      for (auto& [id, server] : servers_) server.mood.holds = false;
      wake_.notify_all();
    }
    worker_.join();
  }

  std::shared_ptr<StorageClient> client(ServerId server) override {
    return std::make_shared<Client>(*this, server);
  }

  template <typename Change>
  void change(ServerId server, Change&& change) {
    const std::lock_guard lock(mutex_);
    change(servers_.at(server).mood);
    wake_.notify_all();
  }
  // Its puts are refused from now on, by every server that a client sends to.
  void end_session(SessionId session) {
    const std::lock_guard lock(mutex_);
    ended_.insert(session);
  }
  void forget_chunks(ServerId server) {
    const std::lock_guard lock(mutex_);
    servers_.at(server).chunks.clear();
  }
  // Repair gives it what others have, on stable media.
  void repair(ServerId server) {
    const std::lock_guard lock(mutex_);
    auto& chunks = servers_.at(server).chunks;
    for (const auto& [id, other] : servers_)
      for (const auto& [chunk, copy] : other.chunks) chunks.insert_or_assign(chunk, copy).first->second.synced = true;
  }
  // The metadata double deletes what nothing refers to.
  void delete_chunk(ChunkId chunk) {
    const std::lock_guard lock(mutex_);
    for (auto& [id, server] : servers_) server.chunks.erase(chunk);
  }
  // What is not on stable media is gone.
  void lose_power() {
    const std::lock_guard lock(mutex_);
    for (auto& [id, server] : servers_) {
      std::erase_if(server.chunks, [](const auto& entry) { return !entry.second.synced; });
    }
  }

  bool has(ServerId server, ChunkId chunk) const {
    const std::lock_guard lock(mutex_);
    return servers_.at(server).chunks.count(chunk) > 0;
  }
  bool synced(ServerId server, ChunkId chunk) const {
    const std::lock_guard lock(mutex_);
    const auto& chunks = servers_.at(server).chunks;
    const auto it = chunks.find(chunk);
    return it != chunks.end() && it->second.synced;
  }
  std::size_t chunk_count(ServerId server) const {
    const std::lock_guard lock(mutex_);
    return servers_.at(server).chunks.size();
  }
  std::size_t puts() const { return counted(puts_); }
  std::size_t gets() const { return counted(gets_); }
  std::uint64_t got_bytes() const { return counted(got_bytes_); }
  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
  }
  // Blocks until `holds(*this)`; for tests that need something to have happened.
  template <typename Holds>
  void await(Holds&& holds) const {
    for (;;) {
      if (holds(*this)) return;
      std::unique_lock lock(mutex_);
      happened_.wait_for(lock, std::chrono::milliseconds{20});
    }
  }

 private:
  struct Chunk {
    std::vector<std::byte> bytes;
    std::vector<Checksum> checksums;
    bool synced = false;
  };
  struct Server {
    FakeServerMood mood;
    std::map<ChunkId, Chunk> chunks;
  };
  struct Task {
    ServerId server;
    std::function<std::function<void()>()> work;  // under the lock; returns the completion
  };

  class Client final : public StorageClient {
   public:
    Client(FakeStoragePool& pool, ServerId server) : pool_(pool), server_(server) {}
    void put(PutArgs args, std::function<void(Result<PutOutcome>)> done) override {
      auto shared = std::make_shared<PutArgs>(std::move(args));
      pool_.enqueue(server_, [this_pool = &pool_, server = server_, shared, done] {
        Result<PutOutcome> outcome = this_pool->put_locked(server, *shared);
        return [done, outcome = std::move(outcome)] { done(outcome); };
      });
    }
    void get(std::vector<GetArgs> ranges,
             std::function<void(std::vector<Result<void>>)> done) override {
      pool_.enqueue(server_, [this_pool = &pool_, server = server_, ranges, done] {
        std::vector<Result<void>> results = this_pool->get_locked(server, ranges);
        return [done, results = std::move(results)] { done(results); };
      });
    }
    void sync(std::vector<ChunkId> chunks, std::function<void(Result<void>)> done) override {
      pool_.enqueue(server_, [this_pool = &pool_, server = server_, chunks, done] {
        Result<void> result = this_pool->sync_locked(server, chunks);
        return [done, result = std::move(result)] { done(result); };
      });
    }
    void stat(std::vector<ChunkId> chunks,
              std::function<void(Result<std::vector<StoredChunk>>)> done) override {
      pool_.enqueue(server_, [this_pool = &pool_, server = server_, chunks, done] {
        Result<std::vector<StoredChunk>> stored = this_pool->stat_locked(server, chunks);
        return [done, stored = std::move(stored)] { done(stored); };
      });
    }

   private:
    FakeStoragePool& pool_;
    const ServerId server_;
  };

  template <typename T>
  T counted(const T& counter) const {
    const std::lock_guard lock(mutex_);
    return counter;
  }

  void enqueue(ServerId server, std::function<std::function<void()>()> work) {
    const std::lock_guard lock(mutex_);
    queue_.push_back({server, std::move(work)});
    wake_.notify_all();
    happened_.notify_all();
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto it = std::find_if(queue_.begin(), queue_.end(), [this](const Task& task) {
        const auto server = servers_.find(task.server);
        return server == servers_.end() || !server->second.mood.holds;
      });
      if (it == queue_.end()) {
        if (stopping_ && queue_.empty()) return;
        wake_.wait(lock);
        continue;
      }
      const Task task = std::move(*it);
      queue_.erase(it);
      const std::function<void()> complete = task.work();
      happened_.notify_all();
      lock.unlock();
      complete();
      lock.lock();
    }
  }

  void note(const std::string& event) {
    if (log_ != nullptr) log_->add(event);
  }

  // Stores one copy; the error of the server if it does not.
  Result<void> store(ServerId id, const PutArgs& args) {
    const auto it = servers_.find(id);
    if (it == servers_.end() || it->second.mood.silent) return fail(Errc::unavailable, "silent");
    Server& server = it->second;
    if (server.mood.full) return fail(Errc::no_space, "full");
    if (server.mood.fail_puts > 0) {
      --server.mood.fail_puts;
      return fail(server.mood.put_error, "as asked");
    }
    Chunk chunk;
    for (const BufferView piece : args.pieces) {
      chunk.bytes.insert(chunk.bytes.end(), piece.begin(), piece.end());
    }
    chunk.checksums = args.checksums;
    if (block_checksums(chunk.bytes) != args.checksums) return fail(Errc::corrupt, "checksums");
    const auto old = server.chunks.find(args.chunk);
    if (old != server.chunks.end() && old->second.bytes != chunk.bytes) return fail(Errc::exists);
    chunk.synced = args.sync || (old != server.chunks.end() && old->second.synced);
    server.chunks[args.chunk] = std::move(chunk);
    note((args.sync ? "put-sync " : "put ") + to_string(args.chunk) + " on " +
         std::to_string(id.value()));
    return {};
  }

  Result<PutOutcome> put_locked(ServerId id, const PutArgs& args) {
    ++puts_;
    for (std::size_t i = 0; i + 1 < args.pieces.size(); ++i) {
      if (args.pieces[i].size() % kBlockSize != 0) return fail(Errc::bad_message, "odd piece");
    }
    if (ended_.contains(args.session)) return fail(Errc::session_lost, "the session has ended");
    const Result<void> here = store(id, args);
    if (!here) return fail(here.error());
    PutOutcome outcome;
    outcome.stored_on.push_back(id);
    for (const ServerId target : args.forward) {
      const Result<void> there = store(target, args);
      if (there) outcome.stored_on.push_back(target);
      else outcome.failed.emplace_back(target, there.error());
    }
    if (args.sync) outcome.synced_on = outcome.stored_on;
    Server& server = servers_.at(id);
    if (server.mood.lose_put_replies > 0) {
      --server.mood.lose_put_replies;
      return fail(Errc::unavailable, "the reply is lost");
    }
    return outcome;
  }

  std::vector<Result<void>> get_locked(ServerId id, const std::vector<GetArgs>& ranges) {
    ++gets_;
    std::vector<Result<void>> results;
    const auto it = servers_.find(id);
    bool silent = it == servers_.end() || it->second.mood.silent;
    if (!silent && it->second.mood.fail_gets > 0) {
      --it->second.mood.fail_gets;
      silent = true;
    }
    for (const GetArgs& range : ranges) {
      if (silent) {
        results.emplace_back(fail(Errc::unavailable, "silent"));
        continue;
      }
      const auto chunk = it->second.chunks.find(range.chunk);
      if (chunk == it->second.chunks.end()) {
        results.emplace_back(fail(Errc::not_found, "no such chunk"));
      } else if (it->second.mood.unreadable) {
        results.emplace_back(fail(Errc::io, "a bad sector"));
      } else if (it->second.mood.corrupts) {
        std::memset(range.into, 0xEE, range.length);
        results.emplace_back(fail(Errc::corrupt, "bad checksum"));
      } else if (std::uint64_t{range.offset} + range.length > chunk->second.bytes.size()) {
        results.emplace_back(fail(Errc::invalid, "past the end of the chunk"));
      } else {
        std::memcpy(range.into, chunk->second.bytes.data() + range.offset, range.length);
        got_bytes_ += range.length;
        results.emplace_back();
      }
    }
    return results;
  }

  Result<std::vector<StoredChunk>> stat_locked(ServerId id, const std::vector<ChunkId>& chunks) {
    const auto it = servers_.find(id);
    if (it == servers_.end() || it->second.mood.silent) return fail(Errc::unavailable, "silent");
    std::vector<StoredChunk> stored;
    for (const ChunkId chunk : chunks) {
      const auto found = it->second.chunks.find(chunk);
      StoredChunk& one = stored.emplace_back();
      one.chunk = chunk;
      one.present = found != it->second.chunks.end();
      if (one.present) one.length = static_cast<std::uint32_t>(found->second.bytes.size());
    }
    return stored;
  }

  Result<void> sync_locked(ServerId id, const std::vector<ChunkId>& chunks) {
    const auto it = servers_.find(id);
    if (it == servers_.end() || it->second.mood.silent) return fail(Errc::unavailable, "silent");
    if (it->second.mood.fail_syncs > 0) {
      --it->second.mood.fail_syncs;
      return fail(Errc::io, "as asked");
    }
    bool missing = false;
    for (const ChunkId chunk : chunks) {
      const auto found = it->second.chunks.find(chunk);
      if (found == it->second.chunks.end()) {
        missing = true;
        continue;
      }
      found->second.synced = true;
      note("sync " + to_string(chunk) + " on " + std::to_string(id.value()));
    }
    if (missing) return fail(Errc::not_found, "a chunk is missing");
    return {};
  }

  EventLog* const log_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  mutable std::condition_variable happened_;
  std::map<ServerId, Server> servers_;
  std::set<SessionId> ended_;
  std::deque<Task> queue_;
  std::size_t puts_ = 0;
  std::size_t gets_ = 0;
  std::uint64_t got_bytes_ = 0;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace dfs
