// Checks that run while the file system is in use: one at a time, on a thread of
// its own that gives way to all others, over a snapshot. What it finds waits
// here, in parts, until it is asked for; a check that finds more than anybody
// takes waits, too.
//
// Threads: any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/kv/kv_store.h"
#include "server/meta/fsck/chunk_users.h"
#include "server/meta/fsck/rounds.h"

namespace dfs::fsck {

struct DeskOptions {
  std::size_t waiting_max = 1'024;         // findings that nobody has asked for yet
  std::chrono::seconds silence_max{30};    // a check that nobody asks about is over
  std::chrono::milliseconds answer_within{500};
};

class Desk {
 public:
  // `store`, `mender` and `clock` must outlive the desk. `mender` is used by the
  // desk's thread.
  Desk(const KvStore& store, Mender& mender, const Clock& clock, const DeskOptions& options);
  // Stops.
  ~Desk();
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  enum class Mode { look, repair };
  // The number of the run that has begun. Errors: `busy`.
  Result<std::uint64_t> begin_check(Mode mode);
  Result<std::uint64_t> begin_search(std::set<ChunkId> users_of);

  struct Part {
    std::vector<Report> reports;
    std::vector<Use> uses;
    std::uint64_t rows = 0;    // looked at so far
    bool done = false;         // and these are the last ones
    Summary summary;           // when done
  };
  // What has been found since the last call; waits a moment for something.
  //   not_found  that run is over: another one has begun, or nobody asked for it
  //   others     what ended it
  Result<Part> next(std::uint64_t run);
  // Nobody asks any more. Returns when it has ended. Idempotent.
  void end(std::uint64_t run);
  void stop();

 private:
  class Ear;
  using Work = std::function<Result<Summary>(Ear&)>;

  Result<std::uint64_t> begin(Work work);
  void run(const Work& work);
  // The check waits for somebody to take what it has found. `interrupted`: nobody will.
  Result<void> put(Report report);
  Result<void> put(Use use);
  Result<void> passed(std::uint64_t rows);
  Result<void> wait_for_room(std::unique_lock<std::mutex>& lock);
  bool is_abandoned_locked() const;
  void end_current();

  const KvStore& store_;
  Mender& mender_;
  const Clock& clock_;
  const DeskOptions options_;

  std::mutex beginning_;  // one begins or ends at a time; taken before the other
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t run_ = 0;  // the last one that began; 0: none
  bool running_ = false;
  bool ending_ = false;
  bool stopped_ = false;
  SteadyTime asked_{};  // last
  Part part_;           // not taken yet
  Result<void> outcome_{};
  std::thread thread_;
};

}  // namespace dfs::fsck
