#include "server/meta/cluster/cluster_jobs.h"

#include <optional>
#include <utility>

#include "common/base/log.h"

namespace dfs {
namespace {

class RegisterJob final : public CoreJob {
 public:
  RegisterJob(RegisterArgs args, RegisterReply reply)
      : args_(std::move(args)), reply_(std::move(reply)) {}

  Result<void> change(CoreState& state) override {
    server_ = TRY(state.cluster.register_server(state.txn, args_));
    return {};
  }
  void finish(CoreState* state, Result<void> committed) override {
    if (!committed) {
      log_warn("cluster", "refused a storage server: {}", committed.error().to_string());
      return reply_(fail(std::move(committed).error()));
    }
    result_ = RegisterResult{.cluster = state->row.record().cluster,
                             .server = server_,
                             .heartbeat_interval = state->cluster.heartbeat_interval(),
                             .group_table = *state->cluster.table(),
                             .sessions = state->roll.newest()};
  }
  // The server writes down what it has become.
  bool waits_until_stable() const override { return result_.has_value(); }
  void answer(const Result<void>& stable) override {
    if (!stable) return reply_(fail(stable.error()));
    reply_(*std::move(result_));
  }

 private:
  const RegisterArgs args_;
  const RegisterReply reply_;
  ServerId server_;
  std::optional<RegisterResult> result_;
};

class HeartbeatJob final : public CoreJob {
 public:
  HeartbeatJob(HeartbeatArgs args, HeartbeatReply reply)
      : args_(std::move(args)), reply_(std::move(reply)) {}

  Result<void> change(CoreState& state) override {
    result_ = TRY(state.cluster.heartbeat(state.txn, args_));
    return {};
  }
  void finish(CoreState* state, Result<void> committed) override {
    if (!committed) return reply_(fail(std::move(committed).error()));
    const GroupTablePtr& table = state->cluster.table();
    if (table->version > args_.group_table_version) result_.group_table = *table;
    const LiveSessionsPtr& sessions = state->roll.newest();
    if (sessions->mark != args_.sessions_mark) result_.sessions = sessions;
    waits_ = !result_.to_delete.empty() || result_.group_table.has_value();
    if (!waits_) reply_(std::move(result_));
  }
  // What is deleted for a change that power loss takes back is missed by the file
  // that has it again; and epochs that were told never come again for others.
  bool waits_until_stable() const override { return waits_; }
  void answer(const Result<void>& stable) override {
    if (!stable) return reply_(fail(stable.error()));
    reply_(std::move(result_));
  }

 private:
  const HeartbeatArgs args_;
  const HeartbeatReply reply_;
  HeartbeatResult result_;
  bool waits_ = false;
};

}  // namespace

std::unique_ptr<CoreJob> make_register_job(RegisterArgs args, RegisterReply reply) {
  return std::make_unique<RegisterJob>(std::move(args), std::move(reply));
}

std::unique_ptr<CoreJob> make_heartbeat_job(HeartbeatArgs args, HeartbeatReply reply) {
  return std::make_unique<HeartbeatJob>(std::move(args), std::move(reply));
}

}  // namespace dfs
