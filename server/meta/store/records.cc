#include "server/meta/store/records.h"

#include "common/base/result.h"
#include "dfs/v1/record.pb.h"

namespace dfs {
namespace {

// A message that is cleared and filled again keeps the memory of its fields.
template <typename Message>
Message& scratch() {
  thread_local Message message;
  message.Clear();
  return message;
}

template <typename Message>
void serialize(const Message& message, std::string& out) {
  out.clear();
  // Fails only for messages over 2 GiB; ours are bounded far below.
  invariant(message.AppendToString(&out), "a record fits a message");
}

template <typename Message>
bool parse_into(std::string_view bytes, Message& message) {
  return bytes.size() <= INT32_MAX &&
         message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

bool to_file_type(v1::FileType from, FileType& to) {
  if (from < v1::REGULAR || from > v1::BLOCK_DEVICE) return false;
  to = static_cast<FileType>(from);
  return true;
}
v1::FileType from_file_type(FileType type) { return static_cast<v1::FileType>(type); }

}  // namespace

// --- names and attributes ----------------------------------------------------------

void encode(const InodeRecord& record, std::string& out) {
  auto& message = scratch<v1::InodeRecord>();
  message.set_type(from_file_type(record.type));
  message.set_mode(record.mode);
  message.set_uid(record.uid);
  message.set_gid(record.gid);
  message.set_nlink(record.nlink);
  message.set_size(record.size);
  message.set_atime(record.atime);
  message.set_mtime(record.mtime);
  message.set_ctime(record.ctime);
  message.set_btime(record.btime);
  message.set_rdev(record.rdev);
  message.set_parent(record.parent.value());
  if (!record.target.empty()) message.set_target(record.target);
  message.set_allocated(record.allocated);
  message.set_generation(record.generation);
  message.set_change(record.change);
  message.set_data_change(record.data_change);
  message.set_entries(record.entries);
  message.set_replicas(record.replicas);
  message.set_chunk_size(record.chunk_size);
  message.set_xattrs(record.xattrs);
  message.set_next_cookie(record.next_cookie);
  message.set_consistency(static_cast<v1::Consistency>(record.consistency));
  serialize(message, out);
}

bool decode(std::string_view bytes, InodeRecord& record) {
  auto& message = scratch<v1::InodeRecord>();
  if (!parse_into(bytes, message) || !to_file_type(message.type(), record.type)) return false;
  if (!v1::Consistency_IsValid(message.consistency())) return false;
  record.mode = message.mode();
  record.uid = message.uid();
  record.gid = message.gid();
  record.nlink = message.nlink();
  record.size = message.size();
  record.atime = message.atime();
  record.mtime = message.mtime();
  record.ctime = message.ctime();
  record.btime = message.btime();
  record.rdev = message.rdev();
  record.parent = InodeId{message.parent()};
  record.target = message.target();
  record.allocated = message.allocated();
  record.generation = message.generation();
  record.change = message.change();
  record.data_change = message.data_change();
  record.entries = message.entries();
  record.replicas = message.replicas();
  record.chunk_size = message.chunk_size();
  record.xattrs = message.xattrs();
  record.next_cookie = message.next_cookie();
  record.consistency = static_cast<Consistency>(message.consistency());
  return true;
}

void encode(const DirentRecord& record, std::string& out) {
  auto& message = scratch<v1::DirentRecord>();
  message.set_inode(record.inode.value());
  message.set_type(from_file_type(record.type));
  message.set_cookie(record.cookie);
  serialize(message, out);
}

bool decode(std::string_view bytes, DirentRecord& record) {
  auto& message = scratch<v1::DirentRecord>();
  if (!parse_into(bytes, message) || !to_file_type(message.type(), record.type)) return false;
  record.inode = InodeId{message.inode()};
  record.cookie = message.cookie();
  return record.inode != InodeId{} && record.cookie != 0;
}

void encode(const ListingRecord& record, std::string& out) {
  auto& message = scratch<v1::DirentRecord>();
  message.set_inode(record.inode.value());
  message.set_type(from_file_type(record.type));
  message.set_name(record.name);
  serialize(message, out);
}

bool decode(std::string_view bytes, ListingRecord& record) {
  auto& message = scratch<v1::DirentRecord>();
  if (!parse_into(bytes, message) || !to_file_type(message.type(), record.type)) return false;
  record.inode = InodeId{message.inode()};
  record.name = message.name();
  return record.inode != InodeId{} && !record.name.empty();
}

void encode(const XattrRecord& record, std::string& out) { out = record.value; }

bool decode(std::string_view bytes, XattrRecord& record) {
  record.value.assign(bytes);
  return true;
}

void encode(const OrphanRecord& record, std::string& out) {
  auto& message = scratch<v1::OrphanRecord>();
  message.set_since(record.since);
  message.set_unnamed(record.unnamed);
  serialize(message, out);
}

bool decode(std::string_view bytes, OrphanRecord& record) {
  auto& message = scratch<v1::OrphanRecord>();
  if (!parse_into(bytes, message)) return false;
  record.since = message.since();
  record.unnamed = message.unnamed();
  return true;
}

// --- contents ------------------------------------------------------------------------

void encode(const ExtentRecord& record, std::string& out) {
  auto& message = scratch<v1::ExtentRecord>();
  message.set_length(record.length);
  message.set_chunk(record.chunk.value());
  message.set_chunk_offset(record.chunk_offset);
  serialize(message, out);
}

bool decode(std::string_view bytes, ExtentRecord& record) {
  auto& message = scratch<v1::ExtentRecord>();
  if (!parse_into(bytes, message)) return false;
  record.length = message.length();
  record.chunk = ChunkId{message.chunk()};
  record.chunk_offset = message.chunk_offset();
  return record.length > 0 && record.chunk.serial() != 0;
}

void encode(const ChunkRecord& record, std::string& out) {
  auto& message = scratch<v1::ChunkRecord>();
  message.set_length(record.length);
  message.set_references(record.references);
  serialize(message, out);
}

bool decode(std::string_view bytes, ChunkRecord& record) {
  auto& message = scratch<v1::ChunkRecord>();
  if (!parse_into(bytes, message)) return false;
  record.length = message.length();
  record.references = message.references();
  return record.references > 0;
}

void encode(const GarbageRecord& record, std::string& out) {
  auto& message = scratch<v1::GarbageRecord>();
  for (const ServerId server : record.servers) message.add_servers(server.value());
  message.set_length(record.length);
  serialize(message, out);
}

bool decode(std::string_view bytes, GarbageRecord& record) {
  auto& message = scratch<v1::GarbageRecord>();
  if (!parse_into(bytes, message)) return false;
  record.servers.clear();
  for (const std::uint32_t server : message.servers()) record.servers.emplace_back(server);
  record.length = message.length();
  return true;
}

void encode(const MissingRecord& record, std::string& out) {
  auto& message = scratch<v1::MissingRecord>();
  message.set_length(record.length);
  for (const ServerId source : record.sources) message.add_sources(source.value());
  serialize(message, out);
}

bool decode(std::string_view bytes, MissingRecord& record) {
  auto& message = scratch<v1::MissingRecord>();
  if (!parse_into(bytes, message)) return false;
  record.length = message.length();
  record.sources.clear();
  for (const std::uint32_t source : message.sources()) record.sources.emplace_back(source);
  return true;
}

void encode(const ConversionRecord& record, std::string& out) {
  auto& message = scratch<v1::ConversionRecord>();
  message.set_position(record.position);
  message.set_bytes(record.bytes);
  serialize(message, out);
}

bool decode(std::string_view bytes, ConversionRecord& record) {
  auto& message = scratch<v1::ConversionRecord>();
  if (!parse_into(bytes, message)) return false;
  record.position = message.position();
  record.bytes = message.bytes();
  return true;
}

void encode(const WalkRecord& record, std::string& out) {
  auto& message = scratch<v1::WalkRecord>();
  message.set_cookie(record.cookie);
  serialize(message, out);
}

bool decode(std::string_view bytes, WalkRecord& record) {
  auto& message = scratch<v1::WalkRecord>();
  if (!parse_into(bytes, message)) return false;
  record.cookie = message.cookie();
  return true;
}

void encode(const TwinRecord& record, std::string& out) {
  auto& message = scratch<v1::TwinRecord>();
  message.set_chunk(record.chunk.value());
  serialize(message, out);
}

bool decode(std::string_view bytes, TwinRecord& record) {
  auto& message = scratch<v1::TwinRecord>();
  if (!parse_into(bytes, message)) return false;
  record.chunk = ChunkId{message.chunk()};
  return true;
}

// --- the cluster -----------------------------------------------------------------------

void encode(const GroupRecord& record, std::string& out) {
  auto& message = scratch<v1::GroupRecord>();
  message.set_pool(record.pool);
  message.set_epoch(record.epoch.value());
  for (const GroupMember& member : record.members) {
    auto* to = message.add_members();
    to->set_server(member.server.value());
    to->set_state(static_cast<v1::MemberState>(member.state));
  }
  message.set_next_chunk(record.next_chunk);
  message.set_replicas(record.replicas);
  message.set_given_up_below(record.given_up_below);
  serialize(message, out);
}

bool decode(std::string_view bytes, GroupRecord& record) {
  auto& message = scratch<v1::GroupRecord>();
  if (!parse_into(bytes, message)) return false;
  record.pool = message.pool();
  record.epoch = Epoch{message.epoch()};
  record.members.clear();
  for (const auto& member : message.members()) {
    if (member.state() < v1::ACTIVE || member.state() > v1::LEAVING) return false;
    record.members.push_back(
        {ServerId{member.server()}, static_cast<MemberState>(member.state())});
  }
  record.next_chunk = message.next_chunk();
  record.replicas = message.replicas();
  record.given_up_below = message.given_up_below();
  return true;
}

void encode(const ServerRecord& record, std::string& out) {
  auto& message = scratch<v1::ServerRecord>();
  message.set_identity(record.identity);
  message.set_address(record.address);
  message.set_local_socket(record.local_socket);
  message.set_machine(record.machine);
  for (const auto& [name, value] : record.labels) (*message.mutable_labels())[name] = value;
  message.set_capacity(record.capacity);
  message.set_draining(record.draining);
  serialize(message, out);
}

bool decode(std::string_view bytes, ServerRecord& record) {
  auto& message = scratch<v1::ServerRecord>();
  if (!parse_into(bytes, message)) return false;
  record.identity = message.identity();
  record.address = message.address();
  record.local_socket = message.local_socket();
  record.machine = message.machine();
  record.labels.clear();
  record.labels.insert(message.labels().begin(), message.labels().end());
  record.capacity = message.capacity();
  record.draining = message.draining();
  return true;
}

void encode(const SessionRecord& record, std::string& out) {
  auto& message = scratch<v1::SessionRecord>();
  message.set_epoch(record.epoch.value());
  message.set_program(record.program);
  message.set_host(record.host);
  message.set_place(record.place);
  message.set_process(record.process);
  message.set_since(record.since);
  message.set_answered_through(record.answered_through.value());
  message.set_wants_leases(record.wants_leases);
  serialize(message, out);
}

bool decode(std::string_view bytes, SessionRecord& record) {
  auto& message = scratch<v1::SessionRecord>();
  if (!parse_into(bytes, message)) return false;
  record.epoch = Epoch{message.epoch()};
  record.program = message.program();
  record.host = message.host();
  record.place = message.place();
  record.process = message.process();
  record.since = message.since();
  record.answered_through = Sequence{message.answered_through()};
  record.wants_leases = message.wants_leases();
  return true;
}

void encode(const ReplyRecord& record, std::string& out) { out = record.bytes; }

bool decode(std::string_view bytes, ReplyRecord& record) {
  record.bytes.assign(bytes);
  return true;
}

void encode(const ClusterRecord& record, std::string& out) {
  auto& message = scratch<v1::ClusterRecord>();
  message.set_cluster(record.cluster);
  message.set_format(record.format);
  message.set_next_inode(record.next_inode.value());
  message.set_next_server(record.next_server.value());
  message.set_next_group(record.next_group.value());
  message.set_next_session(record.next_session.value());
  message.set_replicas(record.replicas);
  message.set_chunk_size(record.chunk_size);
  message.set_group_table_version(record.group_table_version);
  message.set_inodes(record.inodes);
  message.set_chunks(record.chunks);
  message.set_chunk_bytes(record.chunk_bytes);
  message.set_generation(record.generation);
  message.set_starts(record.starts);
  message.set_missing(record.missing);
  message.set_missing_bytes(record.missing_bytes);
  message.set_garbage(record.garbage);
  message.set_restored(record.restored);
  message.set_restored_state(record.restored_state);
  message.set_keep_unknown_until(record.keep_unknown_until);
  message.set_walks(record.walks);
  message.set_conversions(record.conversions);
  message.set_conversion_bytes(record.conversion_bytes);
  serialize(message, out);
}

bool decode(std::string_view bytes, ClusterRecord& record) {
  auto& message = scratch<v1::ClusterRecord>();
  if (!parse_into(bytes, message)) return false;
  record.cluster = message.cluster();
  record.format = message.format();
  record.next_inode = InodeId{message.next_inode()};
  record.next_server = ServerId{message.next_server()};
  record.next_group = GroupId{message.next_group()};
  record.next_session = SessionId{message.next_session()};
  record.replicas = message.replicas();
  record.chunk_size = message.chunk_size();
  record.group_table_version = message.group_table_version();
  record.inodes = message.inodes();
  record.chunks = message.chunks();
  record.chunk_bytes = message.chunk_bytes();
  record.generation = message.generation();
  record.starts = message.starts();
  record.missing = message.missing();
  record.missing_bytes = message.missing_bytes();
  record.garbage = message.garbage();
  record.restored = message.restored();
  record.restored_state = message.restored_state();
  record.keep_unknown_until = message.keep_unknown_until();
  record.walks = message.walks();
  record.conversions = message.conversions();
  record.conversion_bytes = message.conversion_bytes();
  return true;
}

}  // namespace dfs
