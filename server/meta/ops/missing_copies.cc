#include "server/meta/ops/missing_copies.h"

#include <algorithm>

namespace dfs::ops {

Result<void> note_missing(Transaction& txn, Totals& totals, ServerId server, ChunkId chunk,
                          std::uint32_t length, ServerId source) {
  const MissingKey key{server, chunk};
  const MissingRecord* known = TRY(txn.find<tables::Missing>(key));
  if (known == nullptr) {
    ++totals.missing;
    totals.missing_bytes += length;
    MissingRecord record{.length = length};
    if (source != ServerId{}) record.sources.push_back(source);
    txn.put<tables::Missing>(key, std::move(record));
    return {};
  }
  const auto& sources = known->sources;
  if (source == ServerId{} || std::find(sources.begin(), sources.end(), source) != sources.end())
    return {};
  MissingRecord* record = TRY(txn.edit<tables::Missing>(key));
  record->sources.push_back(source);
  return {};
}

Result<void> forget_missing(Transaction& txn, Totals& totals, ServerId server, ChunkId chunk) {
  const MissingKey key{server, chunk};
  const MissingRecord* known = TRY(txn.find<tables::Missing>(key));
  if (known == nullptr) return {};
  totals.missing -= std::min<std::uint64_t>(totals.missing, 1);
  totals.missing_bytes -= std::min<std::uint64_t>(totals.missing_bytes, known->length);
  txn.erase<tables::Missing>(key);
  return {};
}

}  // namespace dfs::ops
