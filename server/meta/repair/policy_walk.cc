#include "server/meta/repair/policy_walk.h"

#include <utility>

#include "server/meta/ops/conversions.h"

namespace dfs {
namespace {

constexpr std::size_t kEntriesAtOnce = 256;
constexpr InodeId kBehindAll{UINT64_MAX};

class Walk {
 public:
  Walk(Transaction& txn, const OperationContext& context) : txn_(txn), context_(context) {}

  Result<WalkStep> run() {
    const auto rows = TRY(txn_.rows<tables::Walks>(InodeId{}, kBehindAll, 1));
    if (rows.empty()) return std::move(step_);
    step_.more = true;
    const InodeId directory = rows.front().key;
    const InodeRecord* record = TRY(txn_.find<tables::Inodes>(directory));
    if (record == nullptr || !record->is_directory() || record->nlink == 0) {
      TRY(ops::forget_walk(txn_, context_.totals, directory));
      return std::move(step_);
    }
    const std::uint64_t end = record->next_cookie;
    const Policy policy = TRY(effective_policy(txn_, context_, directory));
    const auto entries = TRY(txn_.rows<tables::Listing>(
        {directory, rows.front().record.cookie + 1}, {directory, end}, kEntriesAtOnce));
    for (const auto& entry : entries) TRY(look_at(entry.record, policy.replicas));
    if (entries.size() < kEntriesAtOnce)
      TRY(ops::forget_walk(txn_, context_.totals, directory));
    else
      txn_.put<tables::Walks>(directory, {.cookie = entries.back().key.cookie});
    return std::move(step_);
  }

 private:
  Result<void> look_at(const ListingRecord& entry, std::uint32_t replicas) {
    if (entry.type != FileType::directory && entry.type != FileType::regular) return {};
    const InodeRecord* seen = TRY(txn_.find<tables::Inodes>(entry.inode));
    if (seen == nullptr) return fail(Errc::corrupt, "a directory names an inode that is missing");
    if (seen->is_directory()) {
      if (seen->replicas != 0) return {};
      return ops::note_walk(txn_, context_.totals, entry.inode);
    }
    if (seen->replicas == replicas) return check_first_chunk(entry.inode, *seen);
    InodeRecord* file = TRY(txn_.edit<tables::Inodes>(entry.inode));
    const bool changed =
        TRY(ops::keep_in_copies(txn_, context_, entry.inode, *file, replicas));
    if (changed) step_.changed.push_back(entry.inode);
    return {};
  }

  // It was told its number before chunks were copied for that.
  Result<void> check_first_chunk(InodeId inode, const InodeRecord& file) {
    if (file.allocated == 0) return {};
    const auto rows = TRY(txn_.rows<tables::Extents>({inode, 0}, {inode, kFileSizeMax}, 1));
    if (rows.empty()) return {};
    const ExtentRecord& first = rows.front().record;
    return ops::check_copies(txn_, context_, inode, file,
                             {{rows.front().key.offset, first.length, first.chunk,
                               first.chunk_offset}});
  }

  Transaction& txn_;
  const OperationContext& context_;
  WalkStep step_;
};

}  // namespace

Result<WalkStep> walk_some(Transaction& txn, const OperationContext& context) {
  const OperationMark mark = mark_operation(context);
  txn.begin_operation();
  Result<WalkStep> step = Walk(txn, context).run();
  if (!step) undo_operation(txn, context, mark);
  return step;
}

}  // namespace dfs
