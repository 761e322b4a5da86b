// MetaArgs -> v1::Request.
#include <type_traits>

#include "common/rpc/convert.h"

namespace dfs {

bool is_mutation(const MetaArgs& args) {
  return std::visit(
      [](const auto& op) {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<Op, OpenArgs>) return op.truncate;
        return std::is_same_v<Op, SetAttrArgs> || std::is_same_v<Op, CreateArgs> ||
               std::is_same_v<Op, SymlinkArgs> || std::is_same_v<Op, LinkArgs> ||
               std::is_same_v<Op, UnlinkArgs> || std::is_same_v<Op, RenameArgs> ||
               std::is_same_v<Op, SetXattrArgs> || std::is_same_v<Op, RemoveXattrArgs> ||
               std::is_same_v<Op, CommitArgs> || std::is_same_v<Op, SetPolicyArgs> ||
               std::is_same_v<Op, CloneArgs>;
      },
      args);
}

namespace {

void put(const LookupArgs& op, v1::Request& to) {
  v1::LookupRequest& message = *to.mutable_lookup();
  message.set_parent(op.parent.value());
  message.set_name(op.name);
  message.set_may_be_absent(op.may_be_absent);
}
void put(const GetAttrArgs& op, v1::Request& to) {
  to.mutable_get_attr()->set_inode(op.inode.value());
}
void put(const SetAttrArgs& op, v1::Request& to) {
  v1::SetAttrRequest& message = *to.mutable_set_attr();
  message.set_inode(op.inode.value());
  if (op.mode) message.set_mode(*op.mode);
  if (op.uid) message.set_uid(*op.uid);
  if (op.gid) message.set_gid(*op.gid);
  if (op.size) message.set_size(*op.size);
  if (op.atime) message.set_atime(*op.atime);
  if (op.mtime) message.set_mtime(*op.mtime);
  if (op.ctime) message.set_ctime(*op.ctime);
  message.set_atime_now(op.atime_now);
  message.set_mtime_now(op.mtime_now);
  message.set_clear_set_id(op.clear_set_id);
}
void put(const CreateArgs& op, v1::Request& to) {
  v1::CreateRequest& message = *to.mutable_create();
  message.set_parent(op.parent.value());
  message.set_name(op.name);
  message.set_type(to_proto(op.type));
  message.set_mode(op.mode);
  message.set_umask(op.umask);
  message.set_rdev(op.rdev);
  message.set_exclusive(op.exclusive);
  message.set_open(op.open);
  message.set_truncate(op.truncate);
  message.set_unnamed(op.unnamed);
}
void put(const SymlinkArgs& op, v1::Request& to) {
  v1::SymlinkRequest& message = *to.mutable_symlink();
  message.set_parent(op.parent.value());
  message.set_name(op.name);
  message.set_target(op.target);
}
void put(const ReadlinkArgs& op, v1::Request& to) {
  to.mutable_readlink()->set_inode(op.inode.value());
}
void put(const LinkArgs& op, v1::Request& to) {
  v1::LinkRequest& message = *to.mutable_link();
  message.set_inode(op.inode.value());
  message.set_new_parent(op.new_parent.value());
  message.set_new_name(op.new_name);
}
void put(const UnlinkArgs& op, v1::Request& to) {
  v1::UnlinkRequest& message = *to.mutable_unlink();
  message.set_parent(op.parent.value());
  message.set_name(op.name);
  message.set_directory(op.directory);
  message.set_keep(op.keep);
}
void put(const RenameArgs& op, v1::Request& to) {
  v1::RenameRequest& message = *to.mutable_rename();
  message.set_parent(op.parent.value());
  message.set_name(op.name);
  message.set_new_parent(op.new_parent.value());
  message.set_new_name(op.new_name);
  message.set_no_replace(op.no_replace);
  message.set_exchange(op.exchange);
  message.set_keep(op.keep);
}
void put(const ReadDirArgs& op, v1::Request& to) {
  v1::ReadDirRequest& message = *to.mutable_read_dir();
  message.set_inode(op.inode.value());
  message.set_cookie(op.cookie);
  message.set_entries_max(op.entries_max);
}
void put(const StatFsArgs&, v1::Request& to) { to.mutable_stat_fs(); }
void put(const TouchArgs& op, v1::Request& to) {
  v1::TouchRequest& message = *to.mutable_touch();
  message.mutable_times()->Reserve(static_cast<int>(op.times.size()));
  for (const AccessTime& time : op.times) {
    v1::AccessTime& added = *message.add_times();
    added.set_inode(time.inode.value());
    added.set_seen(time.seen);
    added.set_accessed(time.accessed);
  }
}
void put(const SetXattrArgs& op, v1::Request& to) {
  v1::SetXattrRequest& message = *to.mutable_set_xattr();
  message.set_inode(op.inode.value());
  message.set_name(op.name);
  message.set_value(op.value);
  message.set_create_only(op.create_only);
  message.set_replace_only(op.replace_only);
  message.set_clear_set_gid(op.clear_set_gid);
}
void put(const GetXattrArgs& op, v1::Request& to) {
  v1::GetXattrRequest& message = *to.mutable_get_xattr();
  message.set_inode(op.inode.value());
  message.set_name(op.name);
}
void put(const ListXattrArgs& op, v1::Request& to) {
  to.mutable_list_xattr()->set_inode(op.inode.value());
}
void put(const RemoveXattrArgs& op, v1::Request& to) {
  v1::RemoveXattrRequest& message = *to.mutable_remove_xattr();
  message.set_inode(op.inode.value());
  message.set_name(op.name);
}
void put(const OpenArgs& op, v1::Request& to) {
  v1::OpenRequest& message = *to.mutable_open();
  message.set_inode(op.inode.value());
  message.set_truncate(op.truncate);
  message.set_write(op.write);
}
void put(const ReleaseArgs& op, v1::Request& to) {
  v1::ReleaseRequest& message = *to.mutable_release();
  message.set_inode(op.inode.value());
  message.set_count(op.count);
}
void put(const GetExtentsArgs& op, v1::Request& to) {
  v1::GetExtentsRequest& message = *to.mutable_get_extents();
  message.set_inode(op.inode.value());
  message.set_offset(op.offset);
  message.set_extents_max(op.extents_max);
}
void put(const CommitFile& file, v1::CommitFile& message) {
  message.set_inode(file.inode.value());
  for (const Extent& extent : file.extents) to_proto(extent, *message.add_extents());
  for (const FileRange& hole : file.holes) {
    v1::Range& range = *message.add_holes();
    range.set_offset(hole.offset);
    range.set_length(hole.length);
  }
  message.set_size_at_least(file.size_at_least);
  if (file.mtime) message.set_mtime(*file.mtime);
  message.set_clear_set_id(file.clear_set_id);
  if (file.only_if) message.set_only_if(*file.only_if);
}
void put(const CommitArgs& op, v1::Request& to) {
  v1::CommitRequest& message = *to.mutable_commit();
  for (const CommitFile& file : op.files) put(file, *message.add_files());
  message.set_sync(op.sync);
  for (const ChunkPlacement& placement : op.placements) {
    v1::ChunkPlacement& added = *message.add_placements();
    added.set_chunk(placement.chunk.value());
    added.set_length(placement.length);
    for (const ServerId server : placement.missing_on) added.add_missing_on(server.value());
  }
}
void put(const AllocateArgs& op, v1::Request& to) {
  v1::AllocateRequest& message = *to.mutable_allocate();
  message.set_inode(op.inode.value());
  message.set_count(op.count);
  for (const ServerId server : op.avoid) message.add_avoid(server.value());
}
void put(const SyncArgs&, v1::Request& to) { to.mutable_sync(); }
void put(const ClusterStatusArgs&, v1::Request& to) { to.mutable_cluster_status(); }
void put(const KeepAliveArgs& args, v1::Request& to) {
  v1::KeepAliveRequest& message = *to.mutable_keep_alive();
  message.set_unsent_bytes(args.unsent.bytes);
  message.set_oldest_unsent_ms(args.unsent.oldest_ms);
}
void put(const ReportArgs& op, v1::Request& to) {
  v1::ReportRequest& message = *to.mutable_report();
  message.set_chunk(op.chunk.value());
  message.set_server(op.server.value());
  to_proto(op.problem, *message.mutable_problem());
}
void put(const SetPolicyArgs& op, v1::Request& to) {
  v1::SetPolicyRequest& message = *to.mutable_set_policy();
  message.set_inode(op.inode.value());
  if (op.replicas) message.set_replicas(*op.replicas);
  if (op.chunk_size) message.set_chunk_size(*op.chunk_size);
}
void put(const GetPolicyArgs& op, v1::Request& to) {
  to.mutable_get_policy()->set_inode(op.inode.value());
}
void put(const CloneArgs& op, v1::Request& to) {
  v1::CloneRequest& message = *to.mutable_clone();
  message.set_source(op.source.value());
  message.set_source_offset(op.source_offset);
  message.set_inode(op.inode.value());
  message.set_offset(op.offset);
  message.set_length(op.length);
  message.set_mtime(op.mtime);
  message.set_clear_set_id(op.clear_set_id);
}
void put(const SetLockArgs& op, v1::Request& to) {
  v1::SetLockRequest& message = *to.mutable_set_lock();
  message.set_inode(op.inode.value());
  to_proto(op.lock, *message.mutable_lock());
  message.set_wait(op.wait);
  message.set_ticket(op.ticket);
}
void put(const GetLockArgs& op, v1::Request& to) {
  v1::GetLockRequest& message = *to.mutable_get_lock();
  message.set_inode(op.inode.value());
  to_proto(op.lock, *message.mutable_lock());
}
void put(const CancelLockArgs& op, v1::Request& to) {
  to.mutable_cancel_lock()->set_ticket(op.ticket);
}

void put(const AcquireLeaseArgs& op, v1::Request& to) {
  v1::AcquireLeaseRequest& message = *to.mutable_acquire_lease();
  message.set_inode(op.inode.value());
  message.set_kind(to_proto(op.kind));
}
void put(const ReturnLeasesArgs& op, v1::Request& to) {
  v1::ReturnLeasesRequest& message = *to.mutable_return_leases();
  message.set_all_forgotten(op.all_forgotten);
  for (const ReturnedLease& lease : op.leases) {
    v1::ReturnedLease& added = *message.add_leases();
    added.set_inode(lease.inode.value());
    added.set_keep(to_proto(lease.keep));
    added.set_order(lease.order);
    added.set_holds(lease.holds);
  }
}
void put(const HoldArgs& op, v1::Request& to) {
  v1::HoldRequest& message = *to.mutable_hold();
  message.set_inode(op.inode.value());
  message.set_count(op.count);
}
void put(const DrainServerArgs& op, v1::Request& to) {
  v1::DrainServerRequest& message = *to.mutable_drain_server();
  message.set_server(op.server.value());
  message.set_drain(op.drain);
}

}  // namespace

void to_proto(const MetaArgs& args, v1::Request& request) {
  std::visit([&](const auto& op) { put(op, request); }, args);
}

}  // namespace dfs
