#include "server/meta/fsck/core_mender.h"

#include <semaphore>
#include <utility>

#include "common/base/log.h"
#include "server/meta/fsck/mend.h"

namespace dfs::fsck {
namespace {

class MendJob final : public CoreJob {
 public:
  struct Outcome {
    Result<std::optional<std::string>> done = std::nullopt;
    std::binary_semaphore known{0};
  };
  // `finding` and `outcome` must stay until `outcome.known`.
  MendJob(const Finding& finding, Outcome& outcome) : finding_(finding), outcome_(outcome) {}

  Result<void> change(CoreState& state) override {
    MendContext context{.txn = state.txn, .row = state.row, .now = state.clock.wall()};
    state.txn.begin_operation();
    outcome_.done = TRY(fsck::mend(context, finding_));
    orphans_made_ = std::move(context.orphans_made);
    orphans_ended_ = std::move(context.orphans_ended);
    changed_ = std::move(context.inodes_changed);
    return {};
  }

  void finish(CoreState* state, Result<void> committed) override {
    if (!committed) {
      outcome_.done = fail(std::move(committed).error());
    } else if (state != nullptr) {
      for (const InodeId inode : orphans_made_)
        state->orphans.add(inode, state->clock.now() + state->config.orphan_grace);
      for (const InodeId inode : orphans_ended_) state->orphans.forget(inode);
      // Whoever was told of them has been told wrong numbers or names.
      for (const InodeId inode : changed_) state->leases.ask_others({SessionId{}, inode});
    }
    outcome_.known.release();
  }

 private:
  const Finding& finding_;
  Outcome& outcome_;
  std::vector<InodeId> orphans_made_;
  std::vector<InodeId> orphans_ended_;
  std::vector<InodeId> changed_;
};

}  // namespace

Result<std::optional<std::string>> CoreMender::mend(const Finding& finding) {
  MendJob::Outcome outcome;
  core_.run(std::make_unique<MendJob>(finding, outcome));
  outcome.known.acquire();
  if (outcome.done && *outcome.done) log_info("fsck", "{}: {}", finding.text, **outcome.done);
  return std::move(outcome.done);
}

}  // namespace dfs::fsck
