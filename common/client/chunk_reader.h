// Reads parts of chunks: from the cache, or from the best replica; when that
// one fails or is slow, from the next.
//
//   silent replica        the next one; when none answers, again after a
//                         pause (for ever, or until soft_timeout)
//   not_found, corrupt    reported, the next one; when every replica says so,
//                         the read fails with not_found or corrupt
//   slow replica          after ten times the usual time (at most 500 ms) a
//                         second one is asked as well; the first answer wins
//
// A reader runs the connections itself while it waits
// (StorageClient::attend), so that a small read wakes no other thread.
//
// Threads: any. The destructor waits for answers on their way.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "common/client/bad_copies.h"
#include "common/client/block_cache.h"
#include "common/client/client_config.h"
#include "common/client/server_health.h"
#include "common/rpc/meta_client.h"
#include "common/rpc/storage_client.h"

namespace dfs {

// Bytes [offset, offset + length) of a chunk that has at least chunk_length.
struct ChunkSlice {
  ChunkId chunk;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t chunk_length = 0;
  std::byte* into = nullptr;  // null for read-ahead
};

enum class Caching { cached, direct };

class ChunkReader {
 public:
  struct Parts {
    MetaClient& meta;
    StoragePool& storage;
    ServerHealth& health;
    BlockCache& cache;
    const Clock& clock;
    const ClientConfig& config;
  };
  explicit ChunkReader(const Parts& parts);
  ~ChunkReader();
  ChunkReader(const ChunkReader&) = delete;
  ChunkReader& operator=(const ChunkReader&) = delete;

  // Copies `slices` to where they go and fetches `ahead` into the cache, best
  // effort, behind what the caller waits for. Errors:
  //   not_found, corrupt  no replica has it
  //   io                  the same, and a disk that should have it does not read
  //   unavailable         those that answer do not have it; others do not answer
  //   timed_out           nobody answers (soft)
  //   interrupted
  Result<void> read(const std::vector<ChunkSlice>& slices, const std::vector<ChunkSlice>& ahead,
                    Caching caching, Interrupt* interrupt);

 private:
  struct Race;  // several replicas asked for one slice
  struct Round {
    std::vector<ServerId> untried;
    std::size_t members = 0;
    std::size_t denied = 0;  // said not_found or corrupt
    Errc denial = Errc::not_found;
    std::size_t unreadable = 0;  // have a disk that does not give it
  };

  // A slice and the fetch that brings it.
  struct Part {
    FetchPtr fetch;
    ChunkSlice slice;
  };
  // Copies what is in memory; adds the rest to `parts`, and to `mine` what
  // nobody fetches yet.
  void begin_slice(const ChunkSlice& slice, Caching caching, std::vector<Part>& parts,
                   std::vector<FetchPtr>& mine);
  static void add_part(std::vector<Part>& parts, const FetchPtr& fetch, const ChunkSlice& part);
  void ask(const std::vector<FetchPtr>& fetches, std::size_t ahead_bytes);
  void fetch_ahead(const std::vector<ChunkSlice>& slices);
  // The chunk's replicas, the best to ask first.
  std::vector<ServerId> replicas(ChunkId chunk) const;

  SteadyTime hedge_at(const Fetch& fetch) const;
  Result<void> finish_part(const Part& part, Interrupt* interrupt);
  // Reads a slice whose first replica failed or, if `is_slow`, has not answered.
  Result<void> rescue(const ChunkSlice& slice, const FetchPtr& first, bool is_slow,
                      Interrupt* interrupt);
  Result<bool> run_round(Race& race, Round& round, const ChunkSlice& slice, FetchPtr& slow,
                         Interrupt* interrupt);
  bool take_slow(FetchPtr& slow, const ChunkSlice& slice, Round& round);
  void launch(const std::shared_ptr<Race>& race, const ChunkSlice& slice, ServerId server);
  void judge(const ChunkSlice& slice, ServerId server, const Error& problem, Round& round);

  std::chrono::nanoseconds hedge_after() const;
  void note_duration(std::chrono::nanoseconds took);
  void enter() { in_flight_.fetch_add(1); }
  void leave();

  const Parts parts_;
  BadCopies bad_copies_;
  std::atomic<std::int64_t> usual_ns_{0};     // moving average of a fetch
  std::atomic<std::size_t> ahead_bytes_{0};   // being fetched ahead
  std::atomic<std::size_t> in_flight_{0};
  std::mutex idle_mutex_;
  std::condition_variable idle_;
};

}  // namespace dfs
