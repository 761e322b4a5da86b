#include "server/meta/repair/repair_jobs.h"

#include <utility>

#include "server/meta/core/core_state.h"

namespace dfs {
namespace {

class RepairJob final : public CoreJob {
 public:
  RepairJob(RepairArgs args, RepairReply reply) : args_(std::move(args)), reply_(std::move(reply)) {}

  Result<void> change(CoreState& state) override {
    result_ = TRY(state.repair.exchange(state.txn, args_));
    return {};
  }
  void finish(CoreState* state, Result<void> committed) override {
    waits_ = committed && (!result_.to_delete.empty() || !result_.to_drop.empty());
    if (waits_) return;
    if (committed) return reply_(std::move(result_));
    if (state != nullptr) state->repair.refused(args_.server);
    reply_(fail(std::move(committed).error()));
  }
  // What is deleted does not come back.
  bool waits_until_stable() const override { return waits_; }
  void answer(const Result<void>& stable) override {
    if (!stable) return reply_(fail(stable.error()));
    reply_(std::move(result_));
  }

 private:
  const RepairArgs args_;
  const RepairReply reply_;
  RepairResult result_;
  bool waits_ = false;
};

}  // namespace

std::unique_ptr<CoreJob> make_repair_job(RepairArgs args, RepairReply reply) {
  return std::make_unique<RepairJob>(std::move(args), std::move(reply));
}

}  // namespace dfs
