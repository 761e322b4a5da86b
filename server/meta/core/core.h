// The one owner of the namespace.
//
// Requests of all sessions come here and run one after another, in the order
// in which they came, by whoever brings them while nobody else is running:
// there is no thread to hand them to. What waits is taken together, runs
// against one transaction, and is committed as one batch; then the answers go
// out, while the next batch may already run elsewhere.
//
//   exactly once  a mutation that comes again is answered from its stored reply
//   committed     no answer leaves before the batch it depends on is in the log
//   all or none   when a batch cannot be committed nothing of it has happened:
//                 its mutations are answered with the error, its reads run anew
//   one view      what would change, or tell of, what another session has a lease on
//                 waits until that is given back, and is run anew (lease_desk.h)
//   sync          requests that ask for stable storage are answered after the
//                 log has been synced (group_sync.h), the core being free for others; so
//                 is whatever others act on for good: ids of chunks, what a storage server
//                 becomes and what it is to delete
//
// Threads: any, for all calls.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

#include "common/base/metrics.h"
#include "server/meta/core/core_job.h"
#include "server/meta/core/core_state.h"
#include "server/meta/core/group_sync.h"
#include "server/meta/core/reply_sink.h"
#include "server/meta/core/request_runner.h"
#include "server/meta/core/turn_queue.h"
#include "server/meta/log/meta_log.h"

namespace dfs {

// Requests that came together over one stream.
struct Submission {
  SessionId session;
  Epoch epoch;                // of the session when it connected
  Sequence answered_through;  // replies up to this one have arrived there
  std::shared_ptr<ReplySink> sink;
  std::vector<CoreRequest> requests;
};

class Core {
 public:
  // Whether a thread does the housekeeping; without, somebody calls tick().
  enum class Helper { thread, none };

  // `config`, `clock`, `store` and `log` must outlive the core. Errors: those
  // of CoreState::load().
  static Result<std::unique_ptr<Core>> start(const MetaConfig& config, const Clock& clock,
                                             KvStore& store, MetaLog& log, Helper helper);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // Every request is answered through submission.sink, perhaps before this
  // returns, perhaps from another thread. Besides each operation's own errors:
  //   session_lost  there is no such session, or it goes on over another stream
  //   overloaded    the queue is full, or too many requests wait for leases
  //   bad_message   a mutation without a sequence, or with one that is used up
  //   no_space, io  the log; nothing of the request has happened
  void submit(Submission submission);

  void run(std::unique_ptr<CoreJob> job);

  // One slice of housekeeping; true if another one would find work at once.
  // Returns when it is done.
  bool tick();

  // Refuses everything from now on and makes the log stable. Nobody may be in
  // submit(), run() or tick(). Idempotent.
  void stop();

 private:
  using Work = std::variant<Submission, std::unique_ptr<CoreJob>>;
  // A submission that has been run, and what it is to be answered.
  struct Answered {
    Submission submission;
    std::vector<CoreReply> replies;         // as submission.requests
    std::vector<std::uint32_t> when_stable;  // indexes of those that wait for the sync
    std::vector<std::uint32_t> later;        // and of those that have no answer yet
  };

  Core(const MetaConfig& config, std::unique_ptr<CoreState> state, MetaLog& log, Helper helper);

  void push(Work work, std::size_t weight);
  void refuse(Work work);
  void run_turn();
  void run_job(CoreJob& job);
  std::vector<Answered> run_batch(std::vector<Submission> batch);
  // Requests that waited for leases which have been given back meanwhile.
  void run_what_waited(std::vector<Answered>& answered);
  void commit_batch(std::vector<Answered>& batch);
  void run_submission(Answered& answered);
  // After the batch was refused: reads again, errors for what would change.
  void run_reads_again(Answered& answered, const Error& error);
  Result<void> commit();
  // Hands out what may go at once, and adds the rest to `when_stable`.
  void deliver(Answered answered, std::vector<GroupSync::Waiting>& when_stable);
  // Answers that became due in this turn to requests of earlier ones, perhaps
  // of other sessions.
  void deliver(std::vector<LateReply> late);
  struct Recall {
    std::shared_ptr<ReplySink> sink;
    LeaseRecall recall;
  };
  std::vector<Recall> take_recalls();
  void help();

  const MetaConfig& config_;
  const std::unique_ptr<CoreState> state_;  // of whoever has the turn
  MetaLog& log_;
  RequestRunner runner_;
  GroupSync sync_;
  TurnQueue<Work> queue_;
  bool log_fails_ = false;  // of whoever has the turn
  Histogram& batch_sizes_;
  Counter& batches_;
  Counter& refused_;
  Gauge& queue_length_;
  Gauge& sessions_;
  Gauge& servers_alive_;
  Gauge& garbage_;

  std::mutex helper_mutex_;
  std::condition_variable helper_wake_;
  bool relief_wanted_ = false;
  bool stopping_ = false;
  std::thread helper_;  // last: it uses the rest
};

}  // namespace dfs
