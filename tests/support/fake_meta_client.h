// A session with a FakeMetaServer, behind the seam of common/rpc/meta_client.h.
//
// On request the server is away (calls wait until it is back), refuses so many
// calls of one kind, or does what it was asked and keeps the answers back: the
// caller waits, or is interrupted and gets its answer later. With lease hooks the
// session wants leases; it confirms them when told to.
//
// Threads: any.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "common/client/wait.h"
#include "common/rpc/lease_hooks.h"
#include "common/rpc/meta_client.h"
#include "tests/support/fake_meta_server.h"

namespace dfs {

class FakeMetaClient final : public MetaClient {
 public:
  FakeMetaClient(FakeMetaServer& server, const Clock& clock)
      : server_(server), clock_(clock), session_(server.begin_session()) {}

  Result<MetaResult> call(MetaArgs args, const Caller& caller, Interrupt* interrupt) override {
    // An open that nobody waits for any more is released when it is answered.
    return call_through(std::move(args), caller, interrupt, [this](Result<MetaResult> answer) {
      const OpenResult* opened = answer ? std::get_if<OpenResult>(&*answer) : nullptr;
      if (opened != nullptr) post(ReleaseArgs{opened->attributes.inode, 1});
    });
  }

  Result<MetaResult> call_through(MetaArgs args, const Caller&, Interrupt* interrupt,
                                  std::function<void(Result<MetaResult>)> late) override {
    {
      std::unique_lock lock(mutex_);
      ++calls_[args.index()];
      ++waiting_;
      changed_.notify_all();
      const Wake wake = wait_until(lock, changed_, {clock_, interrupt, std::nullopt},
                                   [this] { return !away_; });
      --waiting_;
      if (wake == Wake::interrupted) {
        // It was not sent and never will be.
        lock.unlock();
        late(fail(Errc::unavailable, "given up before it was sent"));
        return fail(Errc::interrupted, "the server is away");
      }
      const auto refusal = refusals_.find(args.index());
      if (refusal != refusals_.end() && refusal->second.first > 0) {
        --refusal->second.first;
        return fail(refusal->second.second, "as asked");
      }
    }
    const std::vector<InodeId> committed = inodes_in(args);
    begin_commit(committed);
    Result<MetaResult> answer = *server_.run(session(), args, nullptr);
    std::unique_lock lock(mutex_);
    if (!holding_) {
      end_commit_locked(committed);
      return answer;
    }
    ++waiting_;
    changed_.notify_all();
    const Wake wake = wait_until(lock, changed_, {clock_, interrupt, std::nullopt},
                                 [this] { return !holding_; });
    --waiting_;
    end_commit_locked(committed);
    if (wake != Wake::interrupted) return answer;
    late_.emplace_back(std::move(late), std::move(answer));
    return fail(Errc::interrupted, "waiting for the answer");
  }

  // In the caller's thread, unless the server is away: then it is sent when the
  // server is back.
  Result<void> call_later(MetaArgs args, const Caller&,
                          std::function<void(Result<MetaResult>)> done) override {
    {
      const std::lock_guard lock(mutex_);
      ++calls_[args.index()];
      if (away_) {
        to_send_.emplace_back(std::move(args), std::move(done));
        return {};
      }
    }
    auto answer = server_.run(session(), args, done);
    if (answer) done(std::move(*answer));
    return {};
  }
  void post(MetaArgs args) override {
    {
      const std::lock_guard lock(mutex_);
      ++calls_[args.index()];
      if (away_) {
        to_send_.emplace_back(std::move(args), [](const Result<MetaResult>&) {});
        return;
      }
    }
    static_cast<void>(server_.run(session(), args, [](const Result<MetaResult>&) {}));
  }
  GroupTablePtr group_table() const override { return server_.group_table(); }
  std::uint32_t default_chunk_size() const override { return server_.chunk_size(); }
  SessionId session() const override { return session_.load(); }

  // --- leases ---
  // As when the session begins with wants_leases. The hooks are called from any thread.
  void set_lease_hooks(LeaseHooks hooks) {
    hooks_ = std::move(hooks);
    hooks_.welcomed(server_.welcome(session(), hooks_.recalled));
    confirm();
  }
  // The server has answered something that was asked now.
  void confirm() { hooks_.confirmed(clock_.now()); }
  // Whoever gave the hooks goes: none is called any more.
  void end_leases() { server_.end_leases(session()); }
  // The connection breaks and is made again; `meanwhile` runs in between.
  void reconnect(const std::function<void()>& meanwhile = [] {}) {
    const LeaseClaims claims = hooks_.claims();
    meanwhile();
    hooks_.welcomed(server_.welcome_back(session(), claims));
    confirm();
  }
  // The session was ended; `meanwhile` runs before another one takes its place.
  void replace_session(const std::function<void()>& meanwhile,
                       const std::function<void()>& on_new_session) {
    LeaseTerms terms;
    const LeaseClaims claims = hooks_.claims();
    server_.end_session(session());
    meanwhile();
    session_ = server_.begin_session();
    terms = server_.welcome(session(), hooks_.recalled);
    for (const auto& all : {claims.read, claims.write})
      terms.lost.insert(terms.lost.end(), all.begin(), all.end());
    on_new_session();
    hooks_.welcomed(terms);
    confirm();
  }

  // --- for tests ---
  void set_away(bool away) {
    decltype(to_send_) to_send;
    {
      const std::lock_guard lock(mutex_);
      away_ = away;
      if (!away) to_send.swap(to_send_);
      changed_.notify_all();
    }
    for (auto& [args, done] : to_send) {
      auto answer = server_.run(session(), args, done);
      if (answer) done(std::move(*answer));
    }
  }
  // As when the server has ended the session and the client has noticed.
  void replace_session() { session_ = server_.begin_session(); }
  void hold_answers() {
    const std::lock_guard lock(mutex_);
    holding_ = true;
  }
  void release_answers() {
    std::vector<std::pair<std::function<void(Result<MetaResult>)>, Result<MetaResult>>> late;
    {
      const std::lock_guard lock(mutex_);
      holding_ = false;
      late.swap(late_);
      changed_.notify_all();
    }
    for (auto& [done, answer] : late) done(std::move(answer));
  }
  // The next `count` calls with arguments of this type fail so, unperformed.
  template <typename Args>
  void refuse(int count, Errc code) {
    const std::lock_guard lock(mutex_);
    refusals_[MetaArgs(Args{}).index()] = {count, code};
  }
  template <typename Args>
  std::size_t calls() const {
    const std::lock_guard lock(mutex_);
    const auto it = calls_.find(MetaArgs(Args{}).index());
    return it == calls_.end() ? 0 : it->second;
  }
  // Of whatever kind, those that nobody waits for included.
  std::size_t calls() const {
    const std::lock_guard lock(mutex_);
    std::size_t total = 0;
    for (const auto& [kind, count] : calls_) total += count;
    return total;
  }
  // A commit of an inode was sent while another one of it was unanswered.
  bool commits_overlapped() const {
    const std::lock_guard lock(mutex_);
    return overlapped_;
  }
  // Blocks until so many calls wait for the server; not for ever.
  void await_waiting(std::size_t count) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return waiting_ >= count; });
  }

 private:
  static std::vector<InodeId> inodes_in(const MetaArgs& args) {
    std::vector<InodeId> result;
    const auto* commit = std::get_if<CommitArgs>(&args);
    if (commit == nullptr) return result;
    for (const CommitFile& file : commit->files) result.push_back(file.inode);
    return result;
  }
  void begin_commit(const std::vector<InodeId>& inodes) {
    const std::lock_guard lock(mutex_);
    for (const InodeId inode : inodes) {
      if (!committing_.insert(inode).second) overlapped_ = true;
    }
  }
  void end_commit_locked(const std::vector<InodeId>& inodes) {
    for (const InodeId inode : inodes) committing_.erase(inode);
  }

  FakeMetaServer& server_;
  const Clock& clock_;
  std::atomic<SessionId> session_;
  LeaseHooks hooks_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool away_ = false;
  std::vector<std::pair<MetaArgs, std::function<void(Result<MetaResult>)>>> to_send_;
  bool holding_ = false;
  bool overlapped_ = false;
  std::set<InodeId> committing_;
  std::size_t waiting_ = 0;
  std::map<std::size_t, std::size_t> calls_;
  std::map<std::size_t, std::pair<int, Errc>> refusals_;
  std::vector<std::pair<std::function<void(Result<MetaResult>)>, Result<MetaResult>>> late_;
};

}  // namespace dfs
