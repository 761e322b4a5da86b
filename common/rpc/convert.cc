// The parts that requests and responses are made of.
#include "common/rpc/convert.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "common/rpc/convert_checks.h"

namespace dfs {

using convert::bad;
using convert::check_count;

// More than any cluster of ours has; a table with more is a broken message.
constexpr int kGroupsMax = 1 << 20;
constexpr int kServersMax = 1 << 16;
constexpr int kMembersMax = 64;

Result<void> check_name(const std::string& name) {
  if (name.empty()) return bad("a name is empty");
  if (name.size() > kNameMax)
    return fail(Errc::name_too_long, fmt::format("a name has {} bytes", name.size()));
  if (name.find('/') != std::string::npos) return bad("a name contains '/'");
  if (name.find('\0') != std::string::npos) return bad("a name contains a zero byte");
  if (name == "." || name == "..") return bad("a name is \".\" or \"..\"");
  return {};
}

// --- errors --------------------------------------------------------------------------

void to_proto(const Error& error, v1::Error& message) {
  message.set_code(static_cast<std::uint32_t>(error.code));
  message.set_text(error.text);
}

Error from_proto(const v1::Error& message) {
  const std::uint32_t code = message.code();
  const bool known = (code >= static_cast<std::uint32_t>(Errc::not_found) &&
                      code <= static_cast<std::uint32_t>(Errc::no_locks)) ||
                     (code >= static_cast<std::uint32_t>(Errc::unavailable) &&
                      code <= static_cast<std::uint32_t>(Errc::internal));
  return {known ? static_cast<Errc>(code) : Errc::internal, message.text()};
}

// --- attributes ----------------------------------------------------------------------

v1::FileType to_proto(FileType type) { return static_cast<v1::FileType>(type); }

Result<FileType> from_proto(v1::FileType type) {
  if (type < v1::REGULAR || type > v1::BLOCK_DEVICE)
    return bad(fmt::format("{} is no file type", static_cast<int>(type)));
  return static_cast<FileType>(type);
}

void to_proto(const Attributes& attributes, v1::Attributes& message) {
  message.set_inode(attributes.inode.value());
  message.set_type(to_proto(attributes.type));
  message.set_mode(attributes.mode);
  message.set_uid(attributes.uid);
  message.set_gid(attributes.gid);
  message.set_nlink(attributes.nlink);
  message.set_size(attributes.size);
  message.set_rdev(attributes.rdev);
  message.set_atime(attributes.atime);
  message.set_mtime(attributes.mtime);
  message.set_ctime(attributes.ctime);
  message.set_btime(attributes.btime);
  message.set_allocated(attributes.allocated);
  message.set_generation(attributes.generation);
  message.set_change(attributes.change);
  message.set_data_change(attributes.data_change);
  message.set_chunk_size(attributes.chunk_size);
  message.set_replicas(attributes.replicas);
  message.set_xattrs(attributes.xattrs);
  message.set_lease(to_proto(attributes.lease));
  message.set_provisional(attributes.provisional);
  message.set_consistency(static_cast<v1::Consistency>(attributes.consistency));
}

Result<Attributes> from_proto(const v1::Attributes& message) {
  Attributes attributes;
  attributes.inode = TRY(convert::inode(message.inode()));
  attributes.type = TRY(from_proto(message.type()));
  attributes.mode = TRY(convert::mode(message.mode()));
  attributes.uid = message.uid();
  attributes.gid = message.gid();
  attributes.nlink = message.nlink();
  attributes.size = TRY(convert::file_size(message.size()));
  attributes.rdev = message.rdev();
  attributes.atime = message.atime();
  attributes.mtime = message.mtime();
  attributes.ctime = message.ctime();
  attributes.btime = message.btime();
  attributes.allocated = message.allocated();
  attributes.generation = message.generation();
  attributes.change = message.change();
  attributes.data_change = message.data_change();
  if (message.chunk_size() > kChunkSizeMax) return bad("a chunk size is over the limit");
  attributes.chunk_size = message.chunk_size();
  attributes.replicas = TRY(convert::replicas(message.replicas()));
  attributes.xattrs = message.xattrs();
  attributes.lease = TRY(from_proto(message.lease()));
  attributes.provisional = message.provisional();
  if (!v1::Consistency_IsValid(message.consistency()))
    return bad(fmt::format("{} is no consistency", static_cast<int>(message.consistency())));
  attributes.consistency = static_cast<Consistency>(message.consistency());
  return attributes;
}

// --- extents and entries -------------------------------------------------------------

void to_proto(const Extent& extent, v1::Extent& message) {
  message.set_file_offset(extent.file_offset);
  message.set_length(extent.length);
  message.set_chunk(extent.chunk.value());
  message.set_chunk_offset(extent.chunk_offset);
}

Result<Extent> from_proto(const v1::Extent& message) {
  Extent extent;
  const FileRange range = TRY(convert::range(message.file_offset(), message.length()));
  extent.file_offset = range.offset;
  extent.chunk = TRY(convert::chunk(message.chunk()));
  TRY(convert::check_in_chunk(message.chunk_offset(), message.length()));
  extent.length = message.length();
  extent.chunk_offset = message.chunk_offset();
  return extent;
}

void to_proto(const Entry& entry, v1::Entry& message) {
  message.set_name(entry.name);
  to_proto(entry.attributes, *message.mutable_attributes());
  message.set_cookie(entry.cookie);
}

Result<Entry> from_proto(v1::Entry&& message) {
  Entry entry;
  entry.name = std::move(*message.mutable_name());
  TRY(check_name(entry.name));
  entry.attributes = TRY(from_proto(message.attributes()));
  entry.cookie = message.cookie();
  return entry;
}

// --- placement -----------------------------------------------------------------------

v1::MemberState to_proto(MemberState state) { return static_cast<v1::MemberState>(state); }

Result<MemberState> from_proto(v1::MemberState state) {
  if (state < v1::ACTIVE || state > v1::LEAVING)
    return bad(fmt::format("{} is no member state", static_cast<int>(state)));
  return static_cast<MemberState>(state);
}

void to_proto(const ChunkRange& range, v1::ChunkRange& message) {
  message.set_group(range.first.group().value());
  message.set_first(range.first.value());
  message.set_count(range.count);
  message.set_capability(range.capability);
  message.set_expires(range.expires);
}

Result<ChunkRange> from_proto(const v1::ChunkRange& message) {
  ChunkRange range;
  range.first = TRY(convert::chunk(message.first()));
  if (range.first.group().value() != message.group())
    return bad("a range of chunk ids belongs to another group than it says");
  if (message.count() == 0 || message.count() > kChunksPerAllocationMax ||
      range.first.serial() + message.count() - 1 > ChunkId::kSerialMax)
    return bad("a range of chunk ids has a wrong length");
  range.count = message.count();
  range.capability = message.capability();
  range.expires = message.expires();
  return range;
}

void to_proto(const GroupTable& table, v1::GroupTable& message) {
  message.set_version(table.version);
  for (const auto& [id, group] : table.groups) {
    v1::Group& to = *message.add_groups();
    to.set_group(id.value());
    to.set_pool(group.pool);
    to.set_epoch(group.epoch.value());
    for (const GroupMember& member : group.members) {
      v1::GroupMember& added = *to.add_members();
      added.set_server(member.server.value());
      added.set_state(to_proto(member.state));
    }
  }
  for (const auto& [id, server] : table.servers) {
    v1::Server& to = *message.add_servers();
    to.set_server(id.value());
    to.set_address(server.address);
    to.set_local_socket(server.local_socket);
    to.set_machine(server.machine);
    to.set_alive(server.alive);
    for (const auto& [key, value] : server.labels) (*to.mutable_labels())[key] = value;
    to.set_capacity(server.capacity);
    to.set_available(server.available);
    to.set_chunks(server.chunks);
  }
}

namespace {

Result<Group> group_from(const v1::Group& message) {
  Group group;
  group.group = TRY(convert::group(message.group()));
  group.pool = message.pool();
  group.epoch = Epoch{message.epoch()};
  TRY(check_count("members of a group", message.members_size(), kMembersMax));
  group.members.reserve(static_cast<std::size_t>(message.members_size()));
  for (const v1::GroupMember& member : message.members()) {
    GroupMember& added = group.members.emplace_back();
    added.server = TRY(convert::server(member.server()));
    added.state = TRY(from_proto(member.state()));
  }
  return group;
}

Result<ServerInfo> server_from(const v1::Server& message) {
  ServerInfo server;
  server.server = TRY(convert::server(message.server()));
  server.address = message.address();
  server.local_socket = message.local_socket();
  server.machine = message.machine();
  server.alive = message.alive();
  for (const auto& [key, value] : message.labels()) server.labels.emplace(key, value);
  server.capacity = message.capacity();
  server.available = message.available();
  server.chunks = message.chunks();
  return server;
}

}  // namespace

Result<GroupTable> from_proto(const v1::GroupTable& message) {
  GroupTable table;
  table.version = message.version();
  TRY(check_count("groups of a table", message.groups_size(), kGroupsMax));
  for (const v1::Group& from : message.groups()) {
    Group group = TRY(group_from(from));
    const GroupId id = group.group;
    if (!table.groups.emplace(id, std::move(group)).second)
      return bad(fmt::format("group {} is in a table twice", id.value()));
  }
  TRY(check_count("servers of a table", message.servers_size(), kServersMax));
  for (const v1::Server& from : message.servers()) {
    ServerInfo server = TRY(server_from(from));
    const ServerId id = server.server;
    if (!table.servers.emplace(id, std::move(server)).second)
      return bad(fmt::format("server {} is in a table twice", id.value()));
  }
  return table;
}

// --- leases --------------------------------------------------------------------------

v1::LeaseKind to_proto(LeaseKind kind) { return static_cast<v1::LeaseKind>(kind); }

Result<LeaseKind> from_proto(v1::LeaseKind kind) {
  if (!v1::LeaseKind_IsValid(kind))
    return bad(fmt::format("{} is no kind of lease", static_cast<int>(kind)));
  return static_cast<LeaseKind>(kind);
}

void to_proto(const LeaseRecall& recall, v1::LeaseRecall& message) {
  message.set_order(recall.order);
  for (const RecalledLease& lease : recall.leases) {
    v1::RecalledLease& added = *message.add_leases();
    added.set_inode(lease.inode.value());
    added.set_keep(to_proto(lease.keep));
  }
}

Result<LeaseRecall> from_proto(const v1::LeaseRecall& message) {
  LeaseRecall recall;
  recall.order = message.order();
  recall.leases.reserve(static_cast<std::size_t>(message.leases_size()));
  for (const v1::RecalledLease& lease : message.leases()) {
    RecalledLease& added = recall.leases.emplace_back();
    added.inode = TRY(convert::inode(lease.inode()));
    added.keep = TRY(from_proto(lease.keep()));
    if (added.keep > LeaseKind::read) return bad("a recall leaves a write lease");
  }
  return recall;
}

// --- locks ---------------------------------------------------------------------------

void to_proto(const FileLock& lock, v1::FileLock& message) {
  message.set_family(static_cast<v1::LockFamily>(lock.family));
  message.set_kind(static_cast<v1::LockKind>(lock.kind));
  message.set_owner(lock.owner);
  message.set_start(lock.start);
  message.set_end(lock.end);
  message.set_process(lock.process);
}

Result<FileLock> from_proto(const v1::FileLock& message) {
  if (message.family() < v1::POSIX || message.family() > v1::FLOCK)
    return bad(fmt::format("{} is no family of locks", static_cast<int>(message.family())));
  if (message.kind() < v1::SHARED || message.kind() > v1::UNLOCKED)
    return bad(fmt::format("{} is no kind of lock", static_cast<int>(message.kind())));
  if (message.start() >= message.end() || message.end() > kLockEndMax)
    return bad("the range of a lock is empty or ends beyond 63 bits");
  const bool is_whole = message.start() == 0 && message.end() == kLockEndMax;
  if (message.family() == v1::FLOCK && !is_whole) return bad("flock locks whole files");
  return FileLock{static_cast<LockFamily>(message.family()),
                  static_cast<LockKind>(message.kind()),
                  message.owner(),
                  message.start(),
                  message.end(),
                  message.process()};
}

void to_proto(const HeldLock& held, v1::HeldLock& message) {
  message.set_inode(held.inode.value());
  to_proto(held.lock, *message.mutable_lock());
}

Result<HeldLock> from_proto(const v1::HeldLock& message) {
  HeldLock held;
  held.inode = TRY(convert::inode(message.inode()));
  held.lock = TRY(from_proto(message.lock()));
  if (held.lock.kind == LockKind::unlocked) return bad("a lock that is held is unlocked");
  return held;
}

void to_proto(const SessionEstate& estate, v1::Estate& message) {
  message.set_is_complete(estate.is_complete);
  for (const HeldLock& lock : estate.locks) to_proto(lock, *message.add_locks());
  for (const InodeId inode : estate.leases.read) message.add_read_leases(inode.value());
  for (const InodeId inode : estate.leases.write) message.add_write_leases(inode.value());
}

Result<SessionEstate> from_proto(const v1::Estate& message) {
  SessionEstate estate;
  estate.is_complete = message.is_complete();
  for (const v1::HeldLock& lock : message.locks()) {
    const HeldLock held = TRY(from_proto(lock));
    estate.locks.push_back(held);
  }
  for (const std::uint64_t inode : message.read_leases()) estate.leases.read.emplace_back(inode);
  for (const std::uint64_t inode : message.write_leases()) estate.leases.write.emplace_back(inode);
  return estate;
}

}  // namespace dfs
