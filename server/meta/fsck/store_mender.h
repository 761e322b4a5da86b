// Mends a store that nobody else has open.
#pragma once

#include "common/base/clock.h"
#include "server/meta/core/cluster_row.h"
#include "server/meta/fsck/rounds.h"
#include "server/meta/log/meta_log.h"
#include "server/meta/store/transaction.h"

namespace dfs::fsck {

// Threads: one.
class StoreMender final : public Mender {
 public:
  // `store`, `log` and `clock` must outlive the mender; `log` writes to `store`.
  //   corrupt  the row that says which cluster it is does not hold or is missing
  static Result<std::unique_ptr<StoreMender>> create(const KvStore& store, MetaLog& log,
                                                     const Clock& clock);
  Result<std::optional<std::string>> mend(const Finding& finding) override;

 private:
  StoreMender(const KvStore& store, MetaLog& log, const Clock& clock, ClusterRecord record)
      : log_(log), clock_(clock), txn_(store, cache_), row_(std::move(record)) {}
  Result<std::optional<std::string>> mend_and_commit(const Finding& finding);

  MetaLog& log_;
  const Clock& clock_;
  RecordCache cache_;
  Transaction txn_;
  ClusterRow row_;
};

}  // namespace dfs::fsck
