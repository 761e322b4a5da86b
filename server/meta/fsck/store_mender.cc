#include "server/meta/fsck/store_mender.h"

#include <utility>

#include "server/meta/fsck/mend.h"

namespace dfs::fsck {

Result<std::unique_ptr<StoreMender>> StoreMender::create(const KvStore& store, MetaLog& log,
                                                         const Clock& clock) {
  std::string raw;
  raw_key<tables::Cluster>(raw, ClusterKey{});
  const std::optional<std::string> bytes = TRY(store.get(raw));
  if (!bytes)
    return fail(Errc::corrupt,
                "nothing can be repaired: the row that says which cluster this is, is missing");
  ClusterRecord record;
  TRY(decode_row<tables::Cluster>(raw, *bytes, record));
  return std::unique_ptr<StoreMender>(new StoreMender(store, log, clock, std::move(record)));
}

Result<std::optional<std::string>> StoreMender::mend(const Finding& finding) {
  txn_.begin_operation();
  auto done = mend_and_commit(finding);
  if (done) return done;
  txn_.abandon();
  row_.undo();
  return done;
}

Result<std::optional<std::string>> StoreMender::mend_and_commit(const Finding& finding) {
  MendContext context{.txn = txn_, .row = row_, .now = clock_.wall()};
  auto done = TRY(fsck::mend(context, finding));
  row_.write_to(txn_);
  TRY(log_.append(txn_.take_batch()));
  txn_.committed();
  row_.keep();
  return done;
}

}  // namespace dfs::fsck
