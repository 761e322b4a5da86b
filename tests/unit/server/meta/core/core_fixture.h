// A core over a store in memory and a clock that stands still, and sessions
// that speak to it without a stream. Calls run in the test's own thread.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/kv/memory_kv_store.h"
#include "server/meta/cluster/cluster_jobs.h"
#include "server/meta/core/core.h"
#include "server/meta/sessions/session_jobs.h"
#include "tests/support/fake_clock.h"

namespace dfs {

// How long a test waits for what should come at once.
inline constexpr std::chrono::seconds kPatience{10};

// Keeps what arrives; wait_for() is for answers that the sync thread brings.
class RecordingSink final : public ReplySink {
 public:
  void deliver(std::vector<CoreReply> replies) override {
    const std::lock_guard lock(mutex_);
    ++messages_;
    for (CoreReply& reply : replies) {
      orders_[reply.id] = reply.lease_order;
      changes_told_ = std::max(changes_told_, reply.result ? reply.change : 0);
      replies_.insert_or_assign(reply.id, std::move(reply.result));
    }
    arrived_.notify_all();
  }
  void group_table_changed(const GroupTablePtr& table) override {
    const std::lock_guard lock(mutex_);
    table_ = table;
  }
  void recall(const LeaseRecall& recall) override {
    const std::lock_guard lock(mutex_);
    recalls_.push_back(recall);
  }
  void end(const Error& why) override {
    const std::lock_guard lock(mutex_);
    ended_ = why;
  }

  Result<MetaResult> wait_for(std::uint64_t id) {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_for(lock, kPatience, [&] { return replies_.contains(id); }))
      return fail(Errc::timed_out, "no answer has come");
    return replies_.at(id);
  }
  bool has(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    return replies_.contains(id);
  }
  // Of the leases in an answer.
  std::uint64_t order_of(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    return orders_.at(id);
  }
  // The largest number of a change in an answer.
  std::uint64_t changes_told() {
    const std::lock_guard lock(mutex_);
    return changes_told_;
  }
  // Those that came since the last call.
  std::vector<LeaseRecall> take_recalls() {
    const std::lock_guard lock(mutex_);
    return std::exchange(recalls_, {});
  }
  int messages() {
    const std::lock_guard lock(mutex_);
    return messages_;
  }
  GroupTablePtr table() {
    const std::lock_guard lock(mutex_);
    return table_;
  }
  std::optional<Error> ended() {
    const std::lock_guard lock(mutex_);
    return ended_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::uint64_t, Result<MetaResult>> replies_;
  std::map<std::uint64_t, std::uint64_t> orders_;
  std::uint64_t changes_told_ = 0;
  int messages_ = 0;
  GroupTablePtr table_;
  std::vector<LeaseRecall> recalls_;
  std::optional<Error> ended_;
};

// A log that refuses on request, and whose syncs wait while the gate is shut.
class GatedLog final : public MetaLog {
 public:
  explicit GatedLog(KvStore& store) : log_(store) {}
  Result<void> append(const KvBatch& batch) override {
    if (const Errc code = std::exchange(refuse_next_, Errc::ok); code != Errc::ok)
      return fail(code, "refused by the test");
    ++appends;
    return log_.append(batch);
  }
  Result<void> sync() override {
    std::unique_lock lock(mutex_);
    ++syncs_begun_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    return log_.sync();
  }
  void refuse_next(Errc code) { refuse_next_ = code; }
  void shut() { set_open(false); }
  void open() { set_open(true); }
  // Returns once the sync thread stands at the shut gate.
  void wait_for_syncs_begun(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return syncs_begun_ >= count; });
  }
  int syncs_begun() {
    const std::lock_guard lock(mutex_);
    return syncs_begun_;
  }

  int appends = 0;

 private:
  void set_open(bool is_open) {
    const std::lock_guard lock(mutex_);
    open_ = is_open;
    changed_.notify_all();
  }

  LocalMetaLog log_;
  Errc refuse_next_ = Errc::ok;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int syncs_begun_ = 0;
};

class CoreTest : public ::testing::Test {
 protected:
  // A client. `answered` is what it tells as answered_through.
  struct Client {
    WelcomeResult welcome;
    std::shared_ptr<RecordingSink> sink;
    std::uint64_t next_id = 1;
    std::uint64_t next_sequence = 1;
    std::uint64_t answered = 0;
  };

  CoreTest() {
    config.replicas = 1;
    // The sync thread acts only when asked, so that tests see what it does.
    config.sync_interval = std::chrono::hours{1};
    start();
  }
  ~CoreTest() override { log->open(); }

  void start() {
    log = std::make_unique<GatedLog>(store);
    auto started = Core::start(config, clock, store, *log, Core::Helper::none);
    ASSERT_TRUE(started) << started.error().to_string();
    core = std::move(*started);
  }
  // A cluster with nothing in it that keeps this many copies.
  void start_anew(std::uint32_t replicas) {
    core.reset();
    KvBatch wipe;
    wipe.erase_range("", "\xff");
    ASSERT_TRUE(store.write(wipe, KvDurability::stable));
    config.replicas = replicas;
    start();
  }
  // As when the process died and came again: nothing is told to anybody.
  void restart() {
    core.reset();
    start();
  }

  Result<WelcomeResult> hello(HelloArgs args, const std::shared_ptr<RecordingSink>& sink) {
    std::optional<Result<WelcomeResult>> answer;
    core->run(make_hello_job(std::move(args), sink,
                             [&](Result<WelcomeResult> welcome) { answer = std::move(welcome); }));
    return *answer;
  }
  Client connect() {
    Client client;
    client.sink = std::make_shared<RecordingSink>();
    client.welcome = hello({.program = "test"}, client.sink).value();
    return client;
  }
  // Goes on with its session over another stream.
  void reconnect(Client& client, std::vector<InodeId> held = {}) {
    client.sink = std::make_shared<RecordingSink>();
    client.welcome = hello({.session = client.welcome.session,
                            .epoch = client.welcome.epoch,
                            .program = "test",
                            .held = std::move(held)},
                           client.sink)
                         .value();
  }
  void disconnect(const Client& client) {
    core->run(make_disconnect_job(client.welcome.session, client.welcome.epoch));
  }
  void say_goodbye(const Client& client) {
    bool done = false;
    core->run(make_goodbye_job(client.welcome.session, client.welcome.epoch, [&] { done = true; }));
    EXPECT_TRUE(done);
  }

  CoreRequest request(Client& client, MetaArgs args) {
    CoreRequest made{.id = client.next_id++, .sequence = {}, .caller = {}, .args = std::move(args)};
    if (is_mutation(made.args)) made.sequence = Sequence{client.next_sequence++};
    return made;
  }
  void submit(Client& client, std::vector<CoreRequest> requests) {
    core->submit({.session = client.welcome.session,
                  .epoch = client.welcome.epoch,
                  .answered_through = Sequence{client.answered},
                  .sink = client.sink,
                  .requests = std::move(requests)});
  }
  Result<MetaResult> send(Client& client, CoreRequest one) {
    const std::uint64_t id = one.id;
    submit(client, {std::move(one)});
    return client.sink->wait_for(id);
  }
  Result<MetaResult> call(Client& client, MetaArgs args) {
    return send(client, request(client, std::move(args)));
  }
  template <typename R>
  R get(Client& client, MetaArgs args) {
    Result<MetaResult> result = call(client, std::move(args));
    EXPECT_TRUE(result) << result.error().to_string();
    return result ? std::get<R>(*result) : R{};
  }
  Errc error_of(const Result<MetaResult>& result) {
    return result ? Errc::ok : result.error().code;
  }

  Attributes make_file(Client& client, const std::string& name) {
    return get<EntryResult>(client, CreateArgs{.parent = kRootInode, .name = name, .mode = 0644})
        .attributes;
  }
  Attributes make_open_file(Client& client, const std::string& name) {
    return get<OpenResult>(
               client,
               CreateArgs{.parent = kRootInode, .name = name, .mode = 0644, .open = true})
        .attributes;
  }
  Attributes make_unnamed_file(Client& client) {
    return get<OpenResult>(client,
                           CreateArgs{.parent = kRootInode, .name = {}, .open = true, .unnamed = true})
        .attributes;
  }
  Errc look(Client& client, const std::string& name) {
    return error_of(call(client, LookupArgs{kRootInode, name}));
  }
  Errc unlink(Client& client, const std::string& name) {
    return error_of(call(client, UnlinkArgs{kRootInode, name}));
  }
  Errc stat(Client& client, InodeId inode) {
    return error_of(call(client, GetAttrArgs{inode}));
  }
  void tick() {
    while (core->tick()) {
    }
  }

  // Runs the job that `make(reply)` makes and waits for its answer.
  template <typename R, typename Make>
  Result<R> answer_to(Make&& make) {
    const auto answered = std::make_shared<std::promise<Result<R>>>();
    core->run(make([answered](Result<R> result) { answered->set_value(std::move(result)); }));
    std::future<Result<R>> answer = answered->get_future();
    if (answer.wait_for(kPatience) != std::future_status::ready)
      return fail(Errc::timed_out, "no answer has come");
    return answer.get();
  }
  // As when the power failed: what was not synced is gone.
  void lose_power() {
    store.fail_writes(Errc::io, 1);  // the last sync of an orderly end
    core.reset();
    store.fail_writes(Errc::io, 0);
    store.lose_power();
    start();
  }

  Result<RegisterResult> register_server(RegisterArgs args) {
    return answer_to<RegisterResult>(
        [&](auto reply) { return make_register_job(std::move(args), std::move(reply)); });
  }
  static RegisterArgs fresh_server(int number) {
    RegisterArgs args;
    args.identity = "identity-" + std::to_string(number);
    args.address = "127.0.0.1:" + std::to_string(7400 + number);
    args.capacity = 100 * GiB;
    args.available = 50 * GiB;
    return args;
  }
  ServerId add_server(int number) { return register_server(fresh_server(number)).value().server; }
  Result<HeartbeatResult> heartbeat(HeartbeatArgs args) {
    return answer_to<HeartbeatResult>(
        [&](auto reply) { return make_heartbeat_job(std::move(args), std::move(reply)); });
  }
  Result<HeartbeatResult> heartbeat(int number, std::vector<ChunkId> deleted = {}) {
    HeartbeatArgs args;
    args.server = ServerId{static_cast<std::uint32_t>(number)};
    args.identity = "identity-" + std::to_string(number);
    args.capacity = 100 * GiB;
    args.available = 50 * GiB;
    args.deleted = std::move(deleted);
    return heartbeat(std::move(args));
  }
  // A file of one chunk, committed.
  Extent write_chunk(Client& client, InodeId inode, bool sync = false) {
    const auto allocated = get<AllocateResult>(client, AllocateArgs{.inode = inode});
    const Extent extent{.file_offset = 0, .length = 1000, .chunk = allocated.ranges.front().first};
    CommitArgs commit;
    commit.files = {{.inode = inode, .extents = {extent}, .holes = {}, .size_at_least = 1000}};
    commit.sync = sync;
    get<CommitResult>(client, commit);
    return extent;
  }

  FakeClock clock;
  MemoryKvStore store;
  MetaConfig config;
  std::unique_ptr<GatedLog> log;
  std::unique_ptr<Core> core;
};

}  // namespace dfs
