// v1::Request -> MetaArgs.
#include <algorithm>
#include <utility>

#include "common/rpc/convert.h"
#include "common/rpc/convert_checks.h"

namespace dfs {

using convert::bad;
using convert::check_count;

namespace {

Result<std::string> taken_name(std::string&& name) {
  TRY(check_name(name));
  return std::move(name);
}

// Extended attributes have names of their own: '/' and dots are nothing special.
Result<std::string> taken_xattr_name(std::string&& name) {
  if (name.empty()) return bad("the name of an extended attribute is empty");
  if (name.size() > kXattrNameMax)
    return fail(Errc::range, "the name of an extended attribute is too long");
  if (name.find('\0') != std::string::npos)
    return bad("the name of an extended attribute contains a zero byte");
  return std::move(name);
}

Result<std::vector<ServerId>> servers_from(
    const google::protobuf::RepeatedField<std::uint32_t>& from) {
  TRY(check_count("servers", from.size(), 1024));
  std::vector<ServerId> servers;
  servers.reserve(static_cast<std::size_t>(from.size()));
  for (const std::uint32_t value : from) {
    auto converted = TRY(convert::server(value));
    servers.push_back(std::move(converted));
  }
  return servers;
}

Result<MetaArgs> taken(v1::LookupRequest&& message) {
  LookupArgs op;
  op.parent = TRY(convert::inode(message.parent()));
  op.name = std::move(*message.mutable_name());
  if (op.name != "." && op.name != "..") TRY(check_name(op.name));
  op.may_be_absent = message.may_be_absent();
  return op;
}
Result<MetaArgs> taken(v1::GetAttrRequest&& message) {
  GetAttrArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  return op;
}
Result<MetaArgs> taken(v1::SetAttrRequest&& message) {
  SetAttrArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  if (message.has_mode()) op.mode = TRY(convert::mode(message.mode()));
  if (message.has_uid()) op.uid = message.uid();
  if (message.has_gid()) op.gid = message.gid();
  if (message.has_size()) op.size = TRY(convert::file_size(message.size()));
  if (message.has_atime()) op.atime = message.atime();
  if (message.has_mtime()) op.mtime = message.mtime();
  if (message.has_ctime()) op.ctime = message.ctime();
  op.atime_now = message.atime_now();
  op.mtime_now = message.mtime_now();
  op.clear_set_id = message.clear_set_id();
  return op;
}
Result<MetaArgs> taken(v1::CreateRequest&& message) {
  CreateArgs op;
  op.parent = TRY(convert::inode(message.parent()));
  op.unnamed = message.unnamed();
  if (!op.unnamed) op.name = TRY(taken_name(std::move(*message.mutable_name())));
  op.type = TRY(from_proto(message.type()));
  if (op.type == FileType::symlink) return bad("a symbolic link is made by symlink, not create");
  op.mode = TRY(convert::mode(message.mode()));
  op.umask = TRY(convert::mode(message.umask()));
  op.rdev = message.rdev();
  op.exclusive = message.exclusive();
  op.open = message.open();
  op.truncate = message.truncate();
  if (op.type != FileType::regular && (op.open || op.truncate))
    return bad("only a regular file can be opened or truncated while it is created");
  if (op.unnamed && !op.open) return bad("a file that nobody holds open needs a name");
  return op;
}
Result<MetaArgs> taken(v1::SymlinkRequest&& message) {
  SymlinkArgs op;
  op.parent = TRY(convert::inode(message.parent()));
  op.name = TRY(taken_name(std::move(*message.mutable_name())));
  op.target = std::move(*message.mutable_target());
  if (op.target.empty() || op.target.find('\0') != std::string::npos)
    return bad("the target of a symbolic link is empty or contains a zero byte");
  if (op.target.size() > kSymlinkMax)
    return fail(Errc::name_too_long, "the target of a symbolic link is too long");
  return op;
}
Result<MetaArgs> taken(v1::ReadlinkRequest&& message) {
  ReadlinkArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  return op;
}
Result<MetaArgs> taken(v1::LinkRequest&& message) {
  LinkArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  op.new_parent = TRY(convert::inode(message.new_parent()));
  op.new_name = TRY(taken_name(std::move(*message.mutable_new_name())));
  return op;
}
Result<MetaArgs> taken(v1::UnlinkRequest&& message) {
  UnlinkArgs op;
  op.parent = TRY(convert::inode(message.parent()));
  op.name = TRY(taken_name(std::move(*message.mutable_name())));
  op.directory = message.directory();
  op.keep = message.keep();
  return op;
}
Result<MetaArgs> taken(v1::RenameRequest&& message) {
  RenameArgs op;
  op.parent = TRY(convert::inode(message.parent()));
  op.name = TRY(taken_name(std::move(*message.mutable_name())));
  op.new_parent = TRY(convert::inode(message.new_parent()));
  op.new_name = TRY(taken_name(std::move(*message.mutable_new_name())));
  op.no_replace = message.no_replace();
  op.exchange = message.exchange();
  op.keep = message.keep();
  if (op.no_replace && op.exchange)
    return fail(Errc::invalid, "a rename cannot both exchange and not replace");
  return op;
}
Result<MetaArgs> taken(v1::ReadDirRequest&& message) {
  ReadDirArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  op.cookie = message.cookie();
  op.entries_max = std::clamp(message.entries_max(), std::uint32_t{1}, kEntriesPerReplyMax);
  return op;
}
Result<MetaArgs> taken(v1::StatFsRequest&&) { return StatFsArgs{}; }
Result<MetaArgs> taken(v1::TouchRequest&& message) {
  TRY(check_count("access times", message.times_size(),
                  static_cast<std::int64_t>(kAccessTimesPerTouchMax)));
  TouchArgs op;
  op.times.reserve(static_cast<std::size_t>(message.times_size()));
  for (const v1::AccessTime& time : message.times()) {
    const InodeId inode = TRY(convert::inode(time.inode()));
    op.times.push_back({inode, time.seen(), time.accessed()});
  }
  return op;
}
Result<MetaArgs> taken(v1::SetXattrRequest&& message) {
  SetXattrArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  op.name = TRY(taken_xattr_name(std::move(*message.mutable_name())));
  op.value = std::move(*message.mutable_value());
  if (op.value.size() > kXattrValueMax)
    return fail(Errc::too_big, "the value of an extended attribute is too long");
  op.create_only = message.create_only();
  op.replace_only = message.replace_only();
  op.clear_set_gid = message.clear_set_gid();
  return op;
}
Result<MetaArgs> taken(v1::GetXattrRequest&& message) {
  GetXattrArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  op.name = TRY(taken_xattr_name(std::move(*message.mutable_name())));
  return op;
}
Result<MetaArgs> taken(v1::ListXattrRequest&& message) {
  ListXattrArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  return op;
}
Result<MetaArgs> taken(v1::RemoveXattrRequest&& message) {
  RemoveXattrArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  op.name = TRY(taken_xattr_name(std::move(*message.mutable_name())));
  return op;
}
Result<MetaArgs> taken(v1::OpenRequest&& message) {
  OpenArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  op.truncate = message.truncate();
  op.write = message.write();
  return op;
}
Result<MetaArgs> taken(v1::ReleaseRequest&& message) {
  ReleaseArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  if (message.count() == 0) return bad("a release releases nothing");
  op.count = message.count();
  return op;
}
Result<MetaArgs> taken(v1::GetExtentsRequest&& message) {
  GetExtentsArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  op.offset = TRY(convert::file_size(message.offset()));
  op.extents_max = std::clamp(message.extents_max(), std::uint32_t{1}, kExtentsPerReplyMax);
  return op;
}
Result<CommitFile> commit_file_from(const v1::CommitFile& message) {
  CommitFile file;
  file.inode = TRY(convert::inode(message.inode()));
  file.extents.reserve(static_cast<std::size_t>(message.extents_size()));
  for (const v1::Extent& extent : message.extents()) {
    auto converted = TRY(from_proto(extent));
    file.extents.push_back(std::move(converted));
  }
  file.holes.reserve(static_cast<std::size_t>(message.holes_size()));
  for (const v1::Range& hole : message.holes()) {
    auto converted = TRY(convert::range(hole.offset(), hole.length()));
    file.holes.push_back(std::move(converted));
  }
  file.size_at_least = TRY(convert::file_size(message.size_at_least()));
  if (message.has_mtime()) file.mtime = message.mtime();
  file.clear_set_id = message.clear_set_id();
  if (message.has_only_if()) file.only_if = message.only_if();
  return file;
}
Result<ChunkPlacement> placement_from(const v1::ChunkPlacement& message) {
  ChunkPlacement placement;
  placement.chunk = TRY(convert::chunk(message.chunk()));
  TRY(convert::check_in_chunk(0, message.length()));
  placement.length = message.length();
  placement.missing_on = TRY(servers_from(message.missing_on()));
  return placement;
}
Result<MetaArgs> taken(v1::CommitRequest&& message) {
  constexpr auto kMost = static_cast<std::int64_t>(kExtentsPerCommitMax);
  TRY(check_count("files in a commit", message.files_size(), kMost));
  TRY(check_count("placements in a commit", message.placements_size(), kMost));
  std::int64_t ranges = 0;
  for (const v1::CommitFile& file : message.files())
    ranges += std::int64_t{file.extents_size()} + file.holes_size();
  TRY(check_count("extents and holes in a commit", ranges, kMost));

  CommitArgs op;
  op.files.reserve(static_cast<std::size_t>(message.files_size()));
  for (const v1::CommitFile& file : message.files()) {
    auto converted = TRY(commit_file_from(file));
    op.files.push_back(std::move(converted));
  }
  op.sync = message.sync();
  op.placements.reserve(static_cast<std::size_t>(message.placements_size()));
  for (const v1::ChunkPlacement& placement : message.placements()) {
    auto converted = TRY(placement_from(placement));
    op.placements.push_back(std::move(converted));
  }
  return op;
}
Result<MetaArgs> taken(v1::AllocateRequest&& message) {
  AllocateArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  if (message.count() == 0 || message.count() > kChunksPerAllocationMax)
    return bad(fmt::format("{} chunks cannot be allocated at once", message.count()));
  op.count = message.count();
  op.avoid = TRY(servers_from(message.avoid()));
  return op;
}
Result<MetaArgs> taken(v1::SyncRequest&&) { return SyncArgs{}; }
Result<MetaArgs> taken(v1::ClusterStatusRequest&&) { return ClusterStatusArgs{}; }
Result<MetaArgs> taken(v1::KeepAliveRequest&& message) {
  return KeepAliveArgs{{message.unsent_bytes(), message.oldest_unsent_ms()}};
}
Result<MetaArgs> taken(v1::ReportRequest&& message) {
  ReportArgs op;
  op.chunk = TRY(convert::chunk(message.chunk()));
  op.server = TRY(convert::server(message.server()));
  op.problem = from_proto(message.problem());
  return op;
}
Result<MetaArgs> taken(v1::SetPolicyRequest&& message) {
  SetPolicyArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  if (message.has_replicas()) op.replicas = TRY(convert::replicas(message.replicas()));
  if (message.chunk_size() > kChunkSizeMax) return bad("a chunk size is over the limit");
  if (message.has_chunk_size()) op.chunk_size = message.chunk_size();
  return op;
}
Result<MetaArgs> taken(v1::GetPolicyRequest&& message) {
  GetPolicyArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  return op;
}
Result<MetaArgs> taken(v1::CloneRequest&& message) {
  CloneArgs op;
  op.source = TRY(convert::inode(message.source()));
  op.inode = TRY(convert::inode(message.inode()));
  const FileRange from = TRY(convert::range(message.source_offset(), message.length()));
  const FileRange to = TRY(convert::range(message.offset(), message.length()));
  op.source_offset = from.offset;
  op.offset = to.offset;
  op.length = to.length;
  op.mtime = message.mtime();
  op.clear_set_id = message.clear_set_id();
  return op;
}
Result<MetaArgs> taken(v1::SetLockRequest&& message) {
  SetLockArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  op.lock = TRY(from_proto(message.lock()));
  if (message.ticket() == 0) return bad("the request of a lock has no ticket");
  op.wait = message.wait();
  op.ticket = message.ticket();
  return op;
}
Result<MetaArgs> taken(v1::GetLockRequest&& message) {
  GetLockArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  op.lock = TRY(from_proto(message.lock()));
  if (op.lock.kind == LockKind::unlocked) return bad("nothing is in the way of an unlock");
  return op;
}
Result<MetaArgs> taken(v1::CancelLockRequest&& message) {
  if (message.ticket() == 0) return bad("a cancellation has no ticket");
  return CancelLockArgs{message.ticket()};
}
Result<MetaArgs> taken(v1::AcquireLeaseRequest&& message) {
  AcquireLeaseArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  op.kind = TRY(from_proto(message.kind()));
  if (op.kind != LeaseKind::read && op.kind != LeaseKind::write)
    return bad("a lease to acquire is neither for reading nor for writing");
  return op;
}
Result<MetaArgs> taken(v1::ReturnLeasesRequest&& message) {
  TRY(check_count("leases given back", message.leases_size(),
                  static_cast<std::int64_t>(kLeasesPerReturnMax)));
  ReturnLeasesArgs op;
  op.all_forgotten = message.all_forgotten();
  op.leases.reserve(static_cast<std::size_t>(message.leases_size()));
  for (const v1::ReturnedLease& lease : message.leases()) {
    ReturnedLease& added = op.leases.emplace_back();
    added.inode = TRY(convert::inode(lease.inode()));
    added.keep = TRY(from_proto(lease.keep()));
    if (added.keep > LeaseKind::read) return bad("a lease for writing is given back and kept");
    added.order = lease.order();
    added.holds = lease.holds();
  }
  return op;
}
Result<MetaArgs> taken(v1::HoldRequest&& message) {
  HoldArgs op;
  op.inode = TRY(convert::inode(message.inode()));
  if (message.count() == 0) return bad("a hold holds nothing");
  op.count = message.count();
  return op;
}
Result<MetaArgs> taken(v1::DrainServerRequest&& message) {
  DrainServerArgs op;
  op.server = TRY(convert::server(message.server()));
  op.drain = message.drain();
  return op;
}

}  // namespace

Result<MetaArgs> from_proto(v1::Request&& request) {
  switch (request.op_case()) {
    case v1::Request::kLookup: return taken(std::move(*request.mutable_lookup()));
    case v1::Request::kGetAttr: return taken(std::move(*request.mutable_get_attr()));
    case v1::Request::kSetAttr: return taken(std::move(*request.mutable_set_attr()));
    case v1::Request::kCreate: return taken(std::move(*request.mutable_create()));
    case v1::Request::kSymlink: return taken(std::move(*request.mutable_symlink()));
    case v1::Request::kReadlink: return taken(std::move(*request.mutable_readlink()));
    case v1::Request::kLink: return taken(std::move(*request.mutable_link()));
    case v1::Request::kUnlink: return taken(std::move(*request.mutable_unlink()));
    case v1::Request::kRename: return taken(std::move(*request.mutable_rename()));
    case v1::Request::kReadDir: return taken(std::move(*request.mutable_read_dir()));
    case v1::Request::kStatFs: return taken(std::move(*request.mutable_stat_fs()));
    case v1::Request::kTouch: return taken(std::move(*request.mutable_touch()));
    case v1::Request::kSetXattr: return taken(std::move(*request.mutable_set_xattr()));
    case v1::Request::kGetXattr: return taken(std::move(*request.mutable_get_xattr()));
    case v1::Request::kListXattr: return taken(std::move(*request.mutable_list_xattr()));
    case v1::Request::kRemoveXattr: return taken(std::move(*request.mutable_remove_xattr()));
    case v1::Request::kOpen: return taken(std::move(*request.mutable_open()));
    case v1::Request::kRelease: return taken(std::move(*request.mutable_release()));
    case v1::Request::kGetExtents: return taken(std::move(*request.mutable_get_extents()));
    case v1::Request::kCommit: return taken(std::move(*request.mutable_commit()));
    case v1::Request::kAllocate: return taken(std::move(*request.mutable_allocate()));
    case v1::Request::kSync: return taken(std::move(*request.mutable_sync()));
    case v1::Request::kClusterStatus: return taken(std::move(*request.mutable_cluster_status()));
    case v1::Request::kKeepAlive: return taken(std::move(*request.mutable_keep_alive()));
    case v1::Request::kReport: return taken(std::move(*request.mutable_report()));
    case v1::Request::kSetPolicy: return taken(std::move(*request.mutable_set_policy()));
    case v1::Request::kGetPolicy: return taken(std::move(*request.mutable_get_policy()));
    case v1::Request::kClone: return taken(std::move(*request.mutable_clone()));
    case v1::Request::kSetLock: return taken(std::move(*request.mutable_set_lock()));
    case v1::Request::kGetLock: return taken(std::move(*request.mutable_get_lock()));
    case v1::Request::kCancelLock: return taken(std::move(*request.mutable_cancel_lock()));
    case v1::Request::kAcquireLease: return taken(std::move(*request.mutable_acquire_lease()));
    case v1::Request::kReturnLeases: return taken(std::move(*request.mutable_return_leases()));
    case v1::Request::kHold: return taken(std::move(*request.mutable_hold()));
    case v1::Request::kDrainServer: return taken(std::move(*request.mutable_drain_server()));
    case v1::Request::OP_NOT_SET: break;
  }
  return bad("a request names no operation that is known here");
}

}  // namespace dfs
