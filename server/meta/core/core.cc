#include "server/meta/core/core.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <semaphore>
#include <utility>

#include "common/base/log.h"
#include "server/meta/core/housekeeping.h"

namespace dfs {
namespace {

// A thread that came with a request of its own does not run those of others
// for longer than this many batches; then the helper goes on.
constexpr int kBatchesPerTurn = 64;
constexpr auto kTickInterval = std::chrono::milliseconds{200};

// Runs another job and tells a thread that waits for it.
class AwaitedJob final : public CoreJob {
 public:
  AwaitedJob(std::unique_ptr<CoreJob> job, std::binary_semaphore& done)
      : job_(std::move(job)), done_(done) {}
  Result<void> change(CoreState& state) override { return job_->change(state); }
  void finish(CoreState* state, Result<void> committed) override {
    job_->finish(state, std::move(committed));
    done_.release();
  }

 private:
  const std::unique_ptr<CoreJob> job_;
  std::binary_semaphore& done_;
};

}  // namespace

Result<std::unique_ptr<Core>> Core::start(const MetaConfig& config, const Clock& clock,
                                          KvStore& store, MetaLog& log, Helper helper) {
  std::unique_ptr<CoreState> state = TRY(CoreState::load(config, clock, store));
  return std::unique_ptr<Core>(new Core(config, std::move(state), log, helper));
}

Core::Core(const MetaConfig& config, std::unique_ptr<CoreState> state, MetaLog& log, Helper helper)
    : config_(config),
      state_(std::move(state)),
      log_(log),
      runner_(*state_),
      sync_(log, config.sync_interval),
      queue_(config.queue_max),
      batch_sizes_(metrics().histogram("dfs_meta_batch_requests", "Requests committed together.",
                                       {1, 2, 4, 8, 16, 32, 64, 128, 256, 1024})),
      batches_(metrics().counter("dfs_meta_batches_total", "Batches appended to the log.")),
      refused_(metrics().counter("dfs_meta_overloaded_total",
                                 "Requests refused because the queue was full.")),
      queue_length_(metrics().gauge("dfs_meta_queue_length", "Requests waiting for the core.")),
      sessions_(metrics().gauge("dfs_meta_sessions", "Sessions, connected or away.")),
      servers_alive_(metrics().gauge("dfs_meta_servers_alive", "Storage servers that answer.")),
      garbage_(metrics().gauge("dfs_meta_garbage_chunks", "Chunks waiting to be deleted.")) {
  if (helper == Helper::none) return;
  helper_ = std::thread([this] { help(); });
  ::pthread_setname_np(helper_.native_handle(), "meta-helper");
}

Core::~Core() { stop(); }

void Core::submit(Submission submission) {
  const std::size_t weight = submission.requests.size();
  if (weight > 0) push(std::move(submission), weight);
}

// Jobs have no weight: as many exist as there are streams and calls, which
// the door bounds, and a disconnect must not get lost.
void Core::run(std::unique_ptr<CoreJob> job) { push(std::move(job), 0); }

bool Core::tick() {
  bool more = false;
  std::binary_semaphore done{0};
  run(std::make_unique<AwaitedJob>(make_housekeeping_job(&more), done));
  done.acquire();
  return more;
}

void Core::stop() {
  queue_.close();
  {
    const std::lock_guard lock(helper_mutex_);
    stopping_ = true;
  }
  helper_wake_.notify_one();
  if (helper_.joinable()) helper_.join();
  if (queue_.claim()) run_turn();
  sync_.stop();
}

void Core::push(Work work, std::size_t weight) {
  switch (queue_.push(std::move(work), weight)) {
    case TurnQueue<Work>::Pushed::refused:
      refuse(std::move(work));
      break;
    case TurnQueue<Work>::Pushed::queued:
      break;
    case TurnQueue<Work>::Pushed::my_turn:
      run_turn();
      break;
  }
}

void Core::refuse(Work work) {
  if (auto* job = std::get_if<std::unique_ptr<CoreJob>>(&work)) {
    (*job)->finish(nullptr, fail(Errc::unavailable, "the metadata server is stopping"));
    return;
  }
  Submission& submission = std::get<Submission>(work);
  refused_.add(static_cast<double>(submission.requests.size()));
  std::vector<CoreReply> replies;
  for (const CoreRequest& request : submission.requests)
    replies.push_back({request.id, fail(Errc::overloaded, "the metadata server's queue is full")});
  submission.sink->deliver(std::move(replies));
}

void Core::run_turn() {
  for (int batches = 1;; ++batches) {
    std::vector<Submission> batch;
    std::unique_ptr<CoreJob> job;
    std::size_t requests = 0;
    const bool any = queue_.take(
        [&](const Work& work) {
          if (job != nullptr || requests >= config_.batch_max) return false;
          return batch.empty() || std::holds_alternative<Submission>(work);
        },
        [&](Work&& work) {
          if (auto* taken = std::get_if<std::unique_ptr<CoreJob>>(&work)) {
            job = std::move(*taken);
            return;
          }
          requests += std::get<Submission>(work).requests.size();
          batch.push_back(std::move(std::get<Submission>(work)));
        });
    if (!any) return;

    std::vector<Answered> answered;
    if (job != nullptr) {
      run_job(*job);
    } else {
      batch_sizes_.observe(static_cast<double>(requests));
      answered = run_batch(std::move(batch));
    }
    run_what_waited(answered);
    std::vector<LateReply> late = runner_.late_replies();
    const std::vector<Recall> recalls = take_recalls();
    queue_.release();
    for (const Recall& each : recalls) each.sink->recall(each.recall);
    std::vector<GroupSync::Waiting> when_stable;
    for (Answered& each : answered) deliver(std::move(each), when_stable);
    if (job != nullptr && job->waits_until_stable())
      when_stable.push_back({.sink = nullptr, .reply = {}, .job = std::move(job)});
    deliver(std::move(late));
    if (!when_stable.empty()) sync_.answer_when_stable(std::move(when_stable));

    if (batches == kBatchesPerTurn && helper_.joinable() &&
        std::this_thread::get_id() != helper_.get_id()) {
      {
        const std::lock_guard lock(helper_mutex_);
        relief_wanted_ = true;
      }
      helper_wake_.notify_one();
      return;
    }
    if (!queue_.claim()) return;
  }
}

void Core::run_job(CoreJob& job) {
  state_->sessions.set_current(nullptr);
  Result<void> done = job.change(*state_);
  if (done) {
    done = commit();
  } else {
    state_->txn.abandon();
    state_->undo();
  }
  job.finish(state_.get(), std::move(done));

  queue_length_.set(static_cast<double>(queue_.weight()));
  sessions_.set(static_cast<double>(state_->sessions.all().size()));
  servers_alive_.set(static_cast<double>(state_->cluster.nodes().alive_count()));
  garbage_.set(static_cast<double>(state_->row.totals().garbage));
  state_->locks.show_counts();
  state_->leases.show_counts();
  state_->repair.show_counts();
}

std::vector<Core::Answered> Core::run_batch(std::vector<Submission> batch) {
  std::vector<Answered> all;
  all.reserve(batch.size());
  for (Submission& submission : batch) {
    Answered& answered = all.emplace_back();
    answered.submission = std::move(submission);
    run_submission(answered);
  }
  commit_batch(all);
  return all;
}

void Core::run_what_waited(std::vector<Answered>& answered) {
  if (state_->sessions.leases_are_known()) state_->leases.end_grace();
  while (state_->leases.has_ready()) {
    std::vector<Answered> all;
    while (state_->leases.has_ready() && all.size() < config_.batch_max) {
      LeaseDesk::Waiting waiting = state_->leases.take_ready();
      Submission& submission = all.emplace_back().submission;
      submission.session = waiting.session;
      submission.epoch = waiting.epoch;
      submission.sink = std::move(waiting.sink);
      submission.requests.push_back(std::move(waiting.request));
      run_submission(all.back());
    }
    commit_batch(all);
    std::move(all.begin(), all.end(), std::back_inserter(answered));
  }
}

void Core::commit_batch(std::vector<Answered>& batch) {
  const Result<void> committed = commit();
  if (committed) return;
  for (Answered& answered : batch) run_reads_again(answered, committed.error());
}

std::vector<Core::Recall> Core::take_recalls() {
  std::vector<Recall> recalls;
  if (!state_->leases.has_recalls()) return recalls;
  for (auto& [id, recall] : state_->leases.take_recalls()) {
    const Session* session = state_->sessions.find(id);
    if (session == nullptr || session->sink == nullptr) continue;
    recalls.push_back({session->sink, std::move(recall)});
  }
  return recalls;
}

void Core::run_submission(Answered& answered) {
  Submission& submission = answered.submission;
  answered.replies.reserve(submission.requests.size());
  Session* session = state_->sessions.find(submission.session);
  if (session == nullptr || session->record.epoch != submission.epoch) {
    for (const CoreRequest& request : submission.requests)
      answered.replies.push_back(
          {request.id, fail(Errc::session_lost, "the session has ended or goes on elsewhere")});
    return;
  }
  session->replies.acknowledge(submission.answered_through);
  for (CoreRequest& request : submission.requests) {
    Outcome outcome = runner_.run(*session, request);
    const auto index = static_cast<std::uint32_t>(answered.replies.size());
    if (outcome.when == Outcome::When::stable && outcome.result)
      answered.when_stable.push_back(index);
    if (outcome.when == Outcome::When::later) answered.later.push_back(index);
    answered.replies.push_back(
        {request.id, std::move(outcome.result), outcome.lease_order, outcome.change});
  }
  if (state_->txn.changed()) runner_.prune_replies(*session);
}

void Core::run_reads_again(Answered& answered, const Error& error) {
  Session* session = state_->sessions.find(answered.submission.session);
  if (session == nullptr || session->record.epoch != answered.submission.epoch) return;
  const std::vector<std::uint32_t> later = answered.later;
  for (std::uint32_t i = 0; i < answered.replies.size(); ++i) {
    CoreRequest& request = answered.submission.requests[i];
    Result<MetaResult>& result = answered.replies[i].result;
    if (std::binary_search(later.begin(), later.end(), i)) continue;
    const bool repeated = session->replies.contains(request.sequence);
    if (is_mutation(request.args) && !repeated) {
      if (result) result = fail(error);
      answered.replies[i].lease_order = 0;
      answered.replies[i].change = 0;
      continue;
    }
    if (is_about_locks(request.args)) {
      runner_.refresh(*session, result);
      state_->txn.abandon();
      continue;
    }
    Outcome outcome = runner_.run(*session, request);
    if (outcome.when == Outcome::When::later) answered.later.push_back(i);
    result = std::move(outcome.result);
    answered.replies[i].lease_order = outcome.lease_order;
    answered.replies[i].change = outcome.change;
    if (state_->txn.changed()) {
      result = fail(error);
      state_->undo();
    } else {
      state_->keep();
    }
    state_->txn.abandon();
  }
}

Result<void> Core::commit() {
  state_->sessions.set_current(nullptr);
  Transaction& txn = state_->txn;
  state_->write_memory();
  KvBatch batch;
  if (txn.changed()) {
    batch = txn.take_batch();
    const Result<void> appended = log_.append(batch);
    if (!std::exchange(log_fails_, !appended) && !appended)
      log_error("core", "the log takes no changes: {}", appended.error().to_string());
    if (!appended) {
      txn.abandon();
      state_->cache.clear();
      state_->undo();
      return appended;
    }
    txn.committed();
    sync_.appended();
    batches_.add();
  } else {
    txn.abandon();
  }
  const GroupTablePtr before = state_->cluster.table();
  state_->keep(batch);
  if (const GroupTablePtr& table = state_->cluster.table(); table != before)
    for (const auto& sink : state_->sessions.sinks()) sink->group_table_changed(table);
  return {};
}

void Core::deliver(Answered answered, std::vector<GroupSync::Waiting>& when_stable) {
  const std::shared_ptr<ReplySink>& sink = answered.submission.sink;
  std::vector<CoreReply>& replies = answered.replies;
  if (!answered.when_stable.empty() || !answered.later.empty()) {
    std::vector<bool> kept_back(replies.size());
    for (const std::uint32_t index : answered.when_stable) {
      when_stable.push_back({sink, std::move(replies[index])});
      kept_back[index] = true;
    }
    for (const std::uint32_t index : answered.later) kept_back[index] = true;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (kept_back[i]) continue;
      if (kept != i) replies[kept] = std::move(replies[i]);
      ++kept;
    }
    replies.resize(kept);
  }
  if (!replies.empty()) sink->deliver(std::move(replies));
}

void Core::deliver(std::vector<LateReply> late) {
  for (LateReply& each : late) {
    std::vector<CoreReply> replies;
    replies.push_back(std::move(each.reply));
    each.sink->deliver(std::move(replies));
  }
}

void Core::help() {
  while (true) {
    bool relieve = false;
    {
      std::unique_lock lock(helper_mutex_);
      helper_wake_.wait_for(lock, kTickInterval, [this] { return stopping_ || relief_wanted_; });
      if (stopping_) return;
      relieve = std::exchange(relief_wanted_, false);
    }
    if (relieve) {
      if (queue_.claim()) run_turn();
      continue;
    }
    for (bool more = true; more;) {
      more = tick();
      const std::lock_guard lock(helper_mutex_);
      if (stopping_) return;
    }
  }
}

}  // namespace dfs
