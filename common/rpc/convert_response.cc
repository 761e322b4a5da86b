// Result<MetaResult> <-> v1::Response.
#include <utility>

#include "common/rpc/convert.h"
#include "common/rpc/convert_checks.h"

namespace dfs {

using convert::bad;
using convert::check_count;

namespace {

// --- to the wire ---------------------------------------------------------------------

void put(const EmptyResult&, v1::Response& to) { to.mutable_empty(); }
void put(const EntryResult& result, v1::Response& to) {
  v1::EntryResult& message = *to.mutable_entry();
  message.set_absent(result.absent);
  if (!result.absent) to_proto(result.attributes, *message.mutable_attributes());
  if (result.parent) to_proto(*result.parent, *message.mutable_parent());
  message.set_parent_lease(to_proto(result.parent_lease));
}
void put(const AttributesResult& result, v1::Response& to) {
  to_proto(result.attributes, *to.mutable_attributes()->mutable_attributes());
}
void put(const ReadlinkResult& result, v1::Response& to) {
  to.mutable_readlink()->set_target(result.target);
}
void put(const RemovedResult& result, v1::Response& to) {
  v1::RemovedResult& message = *to.mutable_removed();
  if (result.removed) to_proto(*result.removed, *message.mutable_removed());
  if (result.moved) to_proto(*result.moved, *message.mutable_moved());
  to_proto(result.parent, *message.mutable_parent());
  if (result.new_parent) to_proto(*result.new_parent, *message.mutable_new_parent());
}
void put(const ReadDirResult& result, v1::Response& to) {
  v1::ReadDirResult& message = *to.mutable_read_dir();
  for (const Entry& entry : result.entries) to_proto(entry, *message.add_entries());
  message.set_end(result.end);
  message.set_parent(result.parent.value());
  message.set_lease(to_proto(result.lease));
}
void put(const StatFsResult& result, v1::Response& to) {
  v1::StatFsResult& message = *to.mutable_stat_fs();
  message.set_bytes_total(result.bytes_total);
  message.set_bytes_available(result.bytes_available);
  message.set_inodes_used(result.inodes_used);
}
void put(const XattrResult& result, v1::Response& to) {
  v1::XattrResult& message = *to.mutable_xattr();
  message.set_value(result.value);
  for (const std::string& name : result.names) message.add_names(name);
}
void put(const OpenResult& result, v1::Response& to) {
  v1::OpenResult& message = *to.mutable_open();
  to_proto(result.attributes, *message.mutable_attributes());
  for (const Extent& extent : result.extents) to_proto(extent, *message.add_extents());
  message.set_extents_complete(result.extents_complete);
  if (result.parent) to_proto(*result.parent, *message.mutable_parent());
  message.set_created(result.created);
}
void put(const ExtentsResult& result, v1::Response& to) {
  v1::ExtentsResult& message = *to.mutable_extents();
  for (const Extent& extent : result.extents) to_proto(extent, *message.add_extents());
  message.set_complete(result.complete);
  message.set_data_change(result.data_change);
}
void put(const AllocateResult& result, v1::Response& to) {
  v1::AllocateResult& message = *to.mutable_allocate();
  for (const ChunkRange& range : result.ranges) to_proto(range, *message.add_ranges());
}
void put(const CommitResult& result, v1::Response& to) {
  v1::CommitResult& message = *to.mutable_commit();
  for (const Attributes& attributes : result.attributes)
    to_proto(attributes, *message.add_attributes());
}
void put(const PolicyResult& result, v1::Response& to) {
  v1::PolicyResult& message = *to.mutable_policy();
  message.set_replicas(result.replicas);
  message.set_chunk_size(result.chunk_size);
  message.set_own_replicas(result.own_replicas);
  message.set_own_chunk_size(result.own_chunk_size);
}
void put(const CloneResult& result, v1::Response& to) {
  v1::CloneResult& message = *to.mutable_clone();
  to_proto(result.attributes, *message.mutable_attributes());
  message.set_length(result.length);
}
void put(const SessionStatus& session, v1::SessionStatus& message) {
  message.set_session(session.session.value());
  message.set_program(session.program);
  message.set_host(session.host);
  message.set_place(session.place);
  message.set_process(session.process);
  message.set_open_inodes(session.open_inodes);
  message.set_since(session.since);
  message.set_connected(session.connected);
  message.set_leases(session.leases);
  message.set_unsent_bytes(session.unsent.bytes);
  message.set_oldest_unsent_ms(session.unsent.oldest_ms);
}
void put(const Eviction& eviction, v1::Eviction& message) {
  message.set_session(eviction.session.value());
  message.set_program(eviction.program);
  message.set_host(eviction.host);
  message.set_place(eviction.place);
  message.set_when(eviction.when);
  message.set_why(eviction.why);
}
void put(const ConversionStatus& conversion, v1::ConversionStatus& message) {
  message.set_directories(conversion.directories);
  message.set_files(conversion.files);
  message.set_bytes(conversion.bytes);
  message.set_bytes_per_second(conversion.bytes_per_second);
  if (conversion.seconds_left) message.set_seconds_left(*conversion.seconds_left);
}
void put(const RepairStatus& repair, v1::RepairStatus& message) {
  message.set_missing_bytes(repair.missing_bytes);
  message.set_copied_chunks(repair.copied_chunks);
  message.set_copied_bytes(repair.copied_bytes);
  message.set_bytes_per_second(repair.bytes_per_second);
  if (repair.seconds_left) message.set_seconds_left(*repair.seconds_left);
  message.set_moving(repair.moving);
  message.set_lost_chunks(repair.lost_chunks);
  for (const ChunkId chunk : repair.lost) message.add_lost(chunk.value());
  for (const ServerCondition& server : repair.servers) {
    v1::ServerCondition& added = *message.add_servers();
    added.set_server(server.server.value());
    added.set_state(server.state);
    added.set_groups_to_compare(server.groups_to_compare);
    for (const std::string& problem : server.problems) added.add_problems(problem);
  }
  for (const std::string& note : repair.notes) message.add_notes(note);
  put(repair.conversion, *message.mutable_conversion());
  message.set_balancing(repair.balancing);
}
void put(const ClusterStatusResult& result, v1::Response& to) {
  v1::ClusterStatusResult& message = *to.mutable_cluster_status();
  message.set_cluster(result.cluster);
  message.set_version(result.version);
  message.set_started(result.started);
  to_proto(result.group_table, *message.mutable_group_table());
  for (const SessionStatus& session : result.sessions) put(session, *message.add_sessions());
  message.set_inodes(result.inodes);
  message.set_chunk_bytes(result.chunk_bytes);
  message.set_chunks(result.chunks);
  message.set_garbage_chunks(result.garbage_chunks);
  message.set_repair_queue(result.repair_queue);
  message.set_replicas(result.replicas);
  message.set_chunk_size(result.chunk_size);
  for (const Eviction& eviction : result.evictions) put(eviction, *message.add_evictions());
  message.set_contended_inodes(result.contended_inodes);
  put(result.repair, *message.mutable_repair());
}
void put(const LockResult& result, v1::Response& to) {
  v1::LockResult& message = *to.mutable_lock();
  if (result.lock) to_proto(*result.lock, *message.mutable_lock());
  message.set_session(result.session.value());
}

// --- from the wire -------------------------------------------------------------------

// Attributes that must be there.
Result<Attributes> required(bool present, const v1::Attributes& message) {
  if (!present) return bad("an answer lacks the attributes it must have");
  return from_proto(message);
}
Result<std::optional<Attributes>> if_present(bool present, const v1::Attributes& message) {
  std::optional<Attributes> attributes;
  if (present) attributes = TRY(from_proto(message));
  return attributes;
}

// In order and not overlapping, as they are in a file.
template <typename Repeated>
Result<std::vector<Extent>> extents_from(const Repeated& from) {
  TRY(check_count("extents in an answer", from.size(), kExtentsPerReplyMax));
  std::vector<Extent> extents;
  extents.reserve(static_cast<std::size_t>(from.size()));
  std::uint64_t end = 0;
  for (const v1::Extent& message : from) {
    const Extent extent = TRY(from_proto(message));
    if (extent.file_offset < end)
      return bad("the extents of an answer overlap or are out of order");
    end = extent.end();
    extents.push_back(extent);
  }
  return extents;
}

Result<MetaResult> taken(v1::EntryResult&& message) {
  EntryResult result;
  result.absent = message.absent();
  if (!result.absent)
    result.attributes = TRY(required(message.has_attributes(), message.attributes()));
  result.parent = TRY(if_present(message.has_parent(), message.parent()));
  result.parent_lease = TRY(from_proto(message.parent_lease()));
  return result;
}
Result<MetaResult> taken(v1::AttributesResult&& message) {
  AttributesResult result;
  result.attributes = TRY(required(message.has_attributes(), message.attributes()));
  return result;
}
Result<MetaResult> taken(v1::ReadlinkResult&& message) {
  TRY(convert::check_length("a symbolic link", message.target().size(), kSymlinkMax));
  return ReadlinkResult{std::move(*message.mutable_target())};
}
Result<MetaResult> taken(v1::RemovedResult&& message) {
  RemovedResult result;
  result.removed = TRY(if_present(message.has_removed(), message.removed()));
  result.moved = TRY(if_present(message.has_moved(), message.moved()));
  result.parent = TRY(required(message.has_parent(), message.parent()));
  result.new_parent = TRY(if_present(message.has_new_parent(), message.new_parent()));
  return result;
}
Result<MetaResult> taken(v1::ReadDirResult&& message) {
  ReadDirResult result;
  TRY(check_count("entries in an answer", message.entries_size(), kEntriesPerReplyMax));
  result.entries.reserve(static_cast<std::size_t>(message.entries_size()));
  for (v1::Entry& entry : *message.mutable_entries()) {
    auto converted = TRY(from_proto(std::move(entry)));
    result.entries.push_back(std::move(converted));
  }
  result.end = message.end();
  result.parent = TRY(convert::inode(message.parent()));
  result.lease = TRY(from_proto(message.lease()));
  return result;
}
Result<MetaResult> taken(v1::StatFsResult&& message) {
  return StatFsResult{message.bytes_total(), message.bytes_available(), message.inodes_used()};
}
Result<MetaResult> taken(v1::XattrResult&& message) {
  XattrResult result;
  TRY(convert::check_length("an extended attribute", message.value().size(), kXattrValueMax));
  result.value = std::move(*message.mutable_value());
  result.names.reserve(static_cast<std::size_t>(message.names_size()));
  for (std::string& name : *message.mutable_names()) {
    TRY(convert::check_length("an extended attribute's name", name.size(), kXattrNameMax));
    result.names.push_back(std::move(name));
  }
  return result;
}
Result<MetaResult> taken(v1::OpenResult&& message) {
  OpenResult result;
  result.attributes = TRY(required(message.has_attributes(), message.attributes()));
  result.extents = TRY(extents_from(message.extents()));
  result.extents_complete = message.extents_complete();
  result.parent = TRY(if_present(message.has_parent(), message.parent()));
  result.created = message.created();
  return result;
}
Result<MetaResult> taken(v1::ExtentsResult&& message) {
  ExtentsResult result;
  result.extents = TRY(extents_from(message.extents()));
  result.complete = message.complete();
  result.data_change = message.data_change();
  return result;
}
Result<MetaResult> taken(v1::AllocateResult&& message) {
  AllocateResult result;
  TRY(check_count("ranges in an answer", message.ranges_size(), kChunksPerAllocationMax));
  result.ranges.reserve(static_cast<std::size_t>(message.ranges_size()));
  for (const v1::ChunkRange& range : message.ranges()) {
    auto converted = TRY(from_proto(range));
    result.ranges.push_back(std::move(converted));
  }
  return result;
}
Result<MetaResult> taken(v1::EmptyResult&&) { return EmptyResult{}; }
Result<MetaResult> taken(v1::CommitResult&& message) {
  CommitResult result;
  TRY(check_count("files in an answer", message.attributes_size(),
                  static_cast<std::int64_t>(kExtentsPerCommitMax)));
  result.attributes.reserve(static_cast<std::size_t>(message.attributes_size()));
  for (const v1::Attributes& attributes : message.attributes()) {
    auto converted = TRY(from_proto(attributes));
    result.attributes.push_back(std::move(converted));
  }
  return result;
}
Result<MetaResult> taken(v1::PolicyResult&& message) {
  return PolicyResult{message.replicas(), message.chunk_size(), message.own_replicas(),
                      message.own_chunk_size()};
}
Result<MetaResult> taken(v1::CloneResult&& message) {
  CloneResult result;
  result.attributes = TRY(required(message.has_attributes(), message.attributes()));
  result.length = TRY(convert::file_size(message.length()));
  return result;
}
SessionStatus session_from(v1::SessionStatus&& message) {
  SessionStatus session;
  session.session = SessionId{message.session()};
  session.program = std::move(*message.mutable_program());
  session.host = std::move(*message.mutable_host());
  session.place = std::move(*message.mutable_place());
  session.process = message.process();
  session.open_inodes = message.open_inodes();
  session.since = message.since();
  session.connected = message.connected();
  session.leases = message.leases();
  session.unsent = {message.unsent_bytes(), message.oldest_unsent_ms()};
  return session;
}
Eviction eviction_from(v1::Eviction&& message) {
  return {SessionId{message.session()},
          std::move(*message.mutable_program()),
          std::move(*message.mutable_host()),
          std::move(*message.mutable_place()),
          message.when(),
          std::move(*message.mutable_why())};
}
ConversionStatus conversion_from(const v1::ConversionStatus& message) {
  ConversionStatus conversion;
  conversion.directories = message.directories();
  conversion.files = message.files();
  conversion.bytes = message.bytes();
  conversion.bytes_per_second = message.bytes_per_second();
  if (message.has_seconds_left()) conversion.seconds_left = message.seconds_left();
  return conversion;
}
RepairStatus repair_from(v1::RepairStatus&& message) {
  RepairStatus repair;
  repair.missing_bytes = message.missing_bytes();
  repair.copied_chunks = message.copied_chunks();
  repair.copied_bytes = message.copied_bytes();
  repair.bytes_per_second = message.bytes_per_second();
  if (message.has_seconds_left()) repair.seconds_left = message.seconds_left();
  repair.moving = message.moving();
  repair.lost_chunks = message.lost_chunks();
  for (const std::uint64_t chunk : message.lost()) repair.lost.emplace_back(chunk);
  for (v1::ServerCondition& server : *message.mutable_servers())
    repair.servers.push_back(
        {ServerId{server.server()}, std::move(*server.mutable_state()), server.groups_to_compare(),
         {server.mutable_problems()->begin(), server.mutable_problems()->end()}});
  for (std::string& note : *message.mutable_notes()) repair.notes.push_back(std::move(note));
  repair.conversion = conversion_from(message.conversion());
  repair.balancing = message.balancing();
  return repair;
}
Result<MetaResult> taken(v1::ClusterStatusResult&& message) {
  ClusterStatusResult result;
  result.cluster = std::move(*message.mutable_cluster());
  result.version = std::move(*message.mutable_version());
  result.started = message.started();
  result.group_table = TRY(from_proto(message.group_table()));
  result.sessions.reserve(static_cast<std::size_t>(message.sessions_size()));
  for (v1::SessionStatus& session : *message.mutable_sessions())
    result.sessions.push_back(session_from(std::move(session)));
  result.inodes = message.inodes();
  result.chunk_bytes = message.chunk_bytes();
  result.chunks = message.chunks();
  result.garbage_chunks = message.garbage_chunks();
  result.repair_queue = message.repair_queue();
  result.replicas = message.replicas();
  result.chunk_size = message.chunk_size();
  for (v1::Eviction& eviction : *message.mutable_evictions())
    result.evictions.push_back(eviction_from(std::move(eviction)));
  result.contended_inodes = message.contended_inodes();
  result.repair = repair_from(std::move(*message.mutable_repair()));
  return result;
}
Result<MetaResult> taken(v1::LockResult&& message) {
  LockResult result;
  if (message.has_lock()) result.lock = TRY(from_proto(message.lock()));
  result.session = SessionId{message.session()};
  return result;
}

}  // namespace

void to_proto(const Result<MetaResult>& result, v1::Response& response) {
  if (!result) return to_proto(result.error(), *response.mutable_error());
  std::visit([&](const auto& value) { put(value, response); }, *result);
}

namespace {

// Says with each lease in the answer which grant it came with.
void number_leases(MetaResult& result, std::uint64_t order) {
  for_each_attributes(result, [&](Attributes& attributes) {
    if (attributes.lease != LeaseKind::none) attributes.lease_order = order;
  });
  if (auto* entry = std::get_if<EntryResult>(&result); entry != nullptr)
    entry->parent_lease_order = entry->parent_lease != LeaseKind::none ? order : 0;
  if (auto* listed = std::get_if<ReadDirResult>(&result); listed != nullptr)
    listed->lease_order = listed->lease != LeaseKind::none ? order : 0;
}

Result<MetaResult> result_from(v1::Response&& response) {
  switch (response.result_case()) {
    case v1::Response::kEntry: return taken(std::move(*response.mutable_entry()));
    case v1::Response::kAttributes: return taken(std::move(*response.mutable_attributes()));
    case v1::Response::kReadlink: return taken(std::move(*response.mutable_readlink()));
    case v1::Response::kRemoved: return taken(std::move(*response.mutable_removed()));
    case v1::Response::kReadDir: return taken(std::move(*response.mutable_read_dir()));
    case v1::Response::kStatFs: return taken(std::move(*response.mutable_stat_fs()));
    case v1::Response::kXattr: return taken(std::move(*response.mutable_xattr()));
    case v1::Response::kOpen: return taken(std::move(*response.mutable_open()));
    case v1::Response::kExtents: return taken(std::move(*response.mutable_extents()));
    case v1::Response::kAllocate: return taken(std::move(*response.mutable_allocate()));
    case v1::Response::kEmpty: return taken(std::move(*response.mutable_empty()));
    case v1::Response::kClusterStatus: return taken(std::move(*response.mutable_cluster_status()));
    case v1::Response::kCommit: return taken(std::move(*response.mutable_commit()));
    case v1::Response::kPolicy: return taken(std::move(*response.mutable_policy()));
    case v1::Response::kClone: return taken(std::move(*response.mutable_clone()));
    case v1::Response::kLock: return taken(std::move(*response.mutable_lock()));
    case v1::Response::RESULT_NOT_SET: break;
  }
  return bad("an answer holds neither a result nor an error");
}

}  // namespace

Result<MetaResult> from_proto(v1::Response&& response) {
  if (response.has_error()) return fail(from_proto(response.error()));
  const std::uint64_t order = response.lease_order();
  Result<MetaResult> result = result_from(std::move(response));
  if (result && order > 0) number_leases(*result, order);
  return result;
}

}  // namespace dfs
