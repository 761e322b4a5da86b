// Answers recalls: sends what was written, makes the kernel forget, and gives the
// lease back. Watches too that the server is heard often enough for leases to be
// trusted.
//
// A file in use is the hard case. Requests that come while its lease is being
// given back need another one, and wait; but the kernel has locked the pages that
// they are about, and forgetting pages waits for locked ones. So the pages of what
// waits (LeaseGate::Waiting) are left out: a read's are filled when it is answered,
// under the next lease; a write makes its own be forgotten afterwards
// (Engine::write). If forgetting does not end soon all the same, a request that
// had not arrived yet is in the way, and waits sooner or later: then another
// attempt leaves its pages out, and the former ends when it can.
//
// Threads: any; one of its own takes recalls in order, and a few settle what may
// take long. Nothing waits in recalled() and give_back().
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "common/base/executor.h"
#include "common/base/guarded.h"
#include "common/client/inode_table.h"
#include "common/client/kernel_cache.h"
#include "common/client/lease_gate.h"
#include "common/client/reply_barrier.h"
#include "common/rpc/meta_client.h"

namespace dfs {

// A byte of a file, and where it is.
struct LastByte {
  std::uint64_t offset = 0;
  std::byte value{};
};

class LeaseKeeper {
 public:
  struct Parts {
    LeaseGate& gate;
    ReplyBarrier& replies;
    InodeTable& inodes;
    MetaClient& meta;
    const Clock& clock;
    // Brings what was written to the servers. `interrupted` and retryable errors
    // leave it buffered; after others there is nothing left to send.
    std::function<Result<void>(const InodeStatePtr&, Interrupt*)> send;
    // What the inode was when last heard of; empty: unknown.
    std::function<std::optional<FileType>(InodeId)> type_of;
  };
  explicit LeaseKeeper(Parts parts);
  // Stops; recalls that are not settled are not answered.
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  // Null: there is none any more. What is on its way to the former one goes on.
  void set_kernel(std::shared_ptr<KernelCache> kernel);

  void recalled(LeaseRecall recall);
  // As if the server had asked for a lease that it granted with `order`.
  void give_back(InodeId inode, std::uint64_t order);
  // Leases that are gone: what the kernel was told under them is forgotten.
  void lost(std::vector<InodeId> inodes);
  // The same, and returns when it is so; with pages that requests have locked, and
  // with what comes behind them, it only begins.
  void forget_now(const std::vector<InodeId>& inodes);
  // The pages in a range are not what the file has, and then it ends with `end` at
  // the earliest. Waits until the kernel knows; but not for long if the caller's
  // request has locked some of them.
  enum class Locks { none, some };
  void forget_pages_soon(InodeId inode, const FileRange& range, std::optional<LastByte> end,
                         Locks locks);
  // Trust may end later now.
  void confirmed();

 private:
  struct Lost {
    std::vector<InodeId> inodes;
  };

  struct Pages {
    InodeId inode;
    FileRange range;

    friend bool operator==(const Pages&, const Pages&) = default;
  };
  // What forgetting pages on another thread has come to.
  struct Forgetting {
    std::mutex mutex;
    std::condition_variable changed;
    bool over = false;

    bool wait(std::chrono::microseconds patience);
  };

  void run();
  std::optional<SteadyTime> lapses_at() const;
  void take(const LeaseRecall& recall);
  void take_after_use(const RecalledLease& lease, std::uint64_t order);
  void take(const Lost& lost) { begin_to_forget(lost.inodes); }
  void settle_idle(std::uint64_t order, const std::vector<InodeId>& inodes);
  void settle_elsewhere(InodeId inode);
  void settle(InodeId inode);
  // Empty: stopping.
  std::optional<LeaseKind> settle_once(InodeId inode, const InodeStatePtr& state);
  void forget_used(InodeId inode);
  // False: something is in the way.
  bool forget_idle(const std::vector<InodeId>& inodes);
  std::vector<Pages> pages_to_forget(InodeId inode) const;
  bool send_written(InodeId inode, const InodeStatePtr& state);
  void answer(const std::vector<ReturnedLease>& answers);
  void note_pages_forgotten(InodeState& state) const;
  void note_pages_forgotten_here(InodeId inode) const;
  static std::uint32_t untold_opens(InodeState& state);
  void told_opens(InodeState& state, std::uint32_t count);
  std::shared_ptr<Forgetting> forget_elsewhere(std::vector<Pages> pages);
  std::vector<std::shared_ptr<Forgetting>> begin_to_forget(const std::vector<InodeId>& inodes);
  std::shared_ptr<Forgetting> elsewhere(std::function<void(KernelCache&)> tell);

  const Parts parts_;
  Interrupt stop_;

  Guarded<std::shared_ptr<KernelCache>> kernel_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::variant<LeaseRecall, Lost>> queue_;
  bool stopping_ = false;
  std::thread thread_;
  Executor settlers_;
  Executor forgetters_;
};

}  // namespace dfs
