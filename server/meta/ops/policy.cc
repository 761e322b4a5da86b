// set_policy, get_policy, and which policy holds where.
#include <string>

#include "server/meta/ops/conversions.h"
#include "server/meta/ops/inodes.h"
#include "server/meta/ops/operations.h"

namespace dfs {

Result<Policy> effective_policy(Transaction& txn, const OperationContext& context,
                                InodeId inode) {
  Policy policy{0, 0};
  while (true) {
    const InodeRecord* record = TRY(ops::find_inode(txn, context, inode));
    if (policy.replicas == 0) policy.replicas = record->replicas;
    if (policy.chunk_size == 0) policy.chunk_size = record->chunk_size;
    if ((policy.replicas != 0 && policy.chunk_size != 0) || inode == kRootInode) break;
    // A file whose naming directory is gone has no one to inherit from.
    const InodeRecord* above = TRY(txn.find<tables::Inodes>(record->parent));
    if (above == nullptr || above->nlink == 0) break;
    inode = record->parent;
  }
  if (policy.replicas == 0) policy.replicas = context.defaults.replicas;
  if (policy.chunk_size == 0) policy.chunk_size = context.defaults.chunk_size;
  return policy;
}

namespace ops {
namespace {

Result<void> check(const OperationContext& context, const InodeRecord& record,
                   const SetPolicyArgs& args) {
  if (context.caller.uid != 0 && context.caller.uid != record.uid)
    return fail(Errc::not_permitted);
  if (!record.is_directory() && !record.is_regular())
    return fail(Errc::invalid, "only directories and regular files have a policy");
  if (args.replicas.value_or(0) > kReplicasMax)
    return fail(Errc::invalid, "a chunk has at most " + std::to_string(kReplicasMax) + " copies");
  const std::uint32_t chunk_size = args.chunk_size.value_or(0);
  if (chunk_size > kChunkSizeMax || chunk_size % kBlockSize != 0)
    return fail(Errc::invalid, "a chunk size is a multiple of 64 KiB, at most 64 MiB");
  return {};
}

}  // namespace

Result<AttributesResult> set_policy(Transaction& txn, const OperationContext& context,
                                    const SetPolicyArgs& args) {
  InodeRecord* record = TRY(edit_inode(txn, context, args.inode));
  TRY(check(context, *record, args));
  if (args.replicas) record->replicas = *args.replicas;
  if (args.chunk_size) record->chunk_size = *args.chunk_size;
  if (record->is_regular()) {
    // A file's attributes name the size its data is cut to, inherited or not.
    const Policy policy = TRY(effective_policy(txn, context, args.inode));
    record->replicas = policy.replicas;
    record->chunk_size = policy.chunk_size;
    if (args.replicas) TRY(note_conversion(txn, context.totals, args.inode, *record));
  } else if (args.replicas) {
    TRY(note_walk(txn, context.totals, args.inode));
  }
  attributes_changed(*record, context.now);
  return AttributesResult{attributes_of(args.inode, *record)};
}

Result<PolicyResult> get_policy(Transaction& txn, const OperationContext& context,
                                const GetPolicyArgs& args) {
  const InodeRecord* record = TRY(find_inode(txn, context, args.inode));
  PolicyResult result;
  result.own_replicas = record->replicas;
  result.own_chunk_size = record->chunk_size;
  const Policy policy = TRY(effective_policy(txn, context, args.inode));
  result.replicas = policy.replicas;
  result.chunk_size = policy.chunk_size;
  return result;
}

}  // namespace ops
}  // namespace dfs
