#include "server/meta/fsck/check.h"

#include "server/meta/fsck/chunk_pass.h"
#include "server/meta/fsck/count_pass.h"
#include "server/meta/fsck/inode_pass.h"
#include "server/meta/fsck/row_pass.h"

namespace dfs::fsck {

Result<void> check_tables(const KvSnapshot& snapshot, FindingSink& sink) {
  const RowFacts facts = TRY(pass_rows(snapshot, sink));
  TRY(pass_inodes(snapshot, facts, sink));
  if (sink.has_mended()) return {};
  TRY(count_names(snapshot, facts, sink));
  TRY(count_references(snapshot, facts, sink));
  if (sink.has_mended()) return {};
  return pass_chunks(snapshot, facts, sink);
}

}  // namespace dfs::fsck
