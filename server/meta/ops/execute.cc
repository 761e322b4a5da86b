// Which function runs which operation, and that a failed one leaves nothing.
#include "server/meta/ops/operations.h"

namespace dfs {
namespace {

struct Dispatch {
  Transaction& txn;
  const OperationContext& context;

  Result<MetaResult> operator()(const LookupArgs& args) { return run(ops::lookup, args); }
  Result<MetaResult> operator()(const GetAttrArgs& args) { return run(ops::get_attr, args); }
  Result<MetaResult> operator()(const SetAttrArgs& args) { return run(ops::set_attr, args); }
  Result<MetaResult> operator()(const TouchArgs& args) { return run(ops::touch, args); }
  Result<MetaResult> operator()(const CreateArgs& args) {
    return ops::create(txn, context, args);
  }
  Result<MetaResult> operator()(const SymlinkArgs& args) { return run(ops::symlink, args); }
  Result<MetaResult> operator()(const ReadlinkArgs& args) { return run(ops::readlink, args); }
  Result<MetaResult> operator()(const LinkArgs& args) { return run(ops::link, args); }
  Result<MetaResult> operator()(const UnlinkArgs& args) { return run(ops::unlink, args); }
  Result<MetaResult> operator()(const RenameArgs& args) { return run(ops::rename, args); }
  Result<MetaResult> operator()(const ReadDirArgs& args) { return run(ops::read_dir, args); }
  Result<MetaResult> operator()(const SetXattrArgs& args) { return run(ops::set_xattr, args); }
  Result<MetaResult> operator()(const GetXattrArgs& args) { return run(ops::get_xattr, args); }
  Result<MetaResult> operator()(const ListXattrArgs& args) { return run(ops::list_xattr, args); }
  Result<MetaResult> operator()(const RemoveXattrArgs& args) {
    return run(ops::remove_xattr, args);
  }
  Result<MetaResult> operator()(const OpenArgs& args) { return run(ops::open, args); }
  Result<MetaResult> operator()(const GetExtentsArgs& args) {
    return run(ops::get_extents, args);
  }
  Result<MetaResult> operator()(const CommitArgs& args) { return run(ops::commit, args); }
  Result<MetaResult> operator()(const SetPolicyArgs& args) { return run(ops::set_policy, args); }
  Result<MetaResult> operator()(const GetPolicyArgs& args) { return run(ops::get_policy, args); }
  Result<MetaResult> operator()(const CloneArgs& args) { return run(ops::clone, args); }
  Result<MetaResult> operator()(const AcquireLeaseArgs& args) {
    return run(ops::get_attr, GetAttrArgs{args.inode});
  }
  Result<MetaResult> operator()(const HoldArgs& args) {
    return run(ops::get_attr, GetAttrArgs{args.inode});
  }
  // The core's own.
  template <typename Args>
  Result<MetaResult> operator()(const Args&) {
    return fail(Errc::internal, "this operation does not run against the namespace");
  }

 private:
  template <typename R, typename Args>
  Result<MetaResult> run(Result<R> (*operation)(Transaction&, const OperationContext&,
                                                const Args&),
                         const Args& args) {
    Result<R> result = operation(txn, context, args);
    if (!result) return fail(std::move(result).error());
    return MetaResult(std::move(*result));
  }
};

}  // namespace

Result<MetaResult> execute(Transaction& txn, const OperationContext& context,
                           const MetaArgs& args) {
  const OperationMark mark = mark_operation(context);
  txn.begin_operation();
  Result<MetaResult> result = std::visit(Dispatch{txn, context}, args);
  if (!result) undo_operation(txn, context, mark);
  return result;
}

void undo_operation(Transaction& txn, const OperationContext& context, const OperationMark& mark) {
  txn.undo_operation();
  context.totals = mark.totals;
  context.unfinished.resize(mark.unfinished);
}

}  // namespace dfs
