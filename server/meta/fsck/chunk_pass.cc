#include "server/meta/fsck/chunk_pass.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "server/meta/fsck/table_rows.h"

namespace dfs::fsck {
namespace {

constexpr std::uint64_t kRowsPerReport = 1'024;

class ChunkPass {
 public:
  ChunkPass(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink)
      : snapshot_(snapshot), facts_(facts), sink_(sink) {}

  Result<void> run() {
    TRY(check_groups());
    TRY(check_chunks());
    TRY(check_garbage());
    TRY(check_missing());
    TRY(check_last_chunks());
    return check_totals();
  }

 private:
  Result<void> check_groups() {
    for (const auto& [id, group] : facts_.groups) {
      std::set<ServerId> members;
      std::uint32_t staying = 0;
      for (const GroupMember& member : group.members) {
        if (facts_.servers_are_whole && !facts_.servers.contains(member.server))
          TRY(bad_group(id, fmt::format("its member {} is no storage server of the cluster",
                                        member.server.value())));
        if (!members.insert(member.server).second)
          TRY(bad_group(id, fmt::format("storage server {} is a member twice", member.server.value())));
        staying += member.state != MemberState::leaving;
      }
      if (staying != group.replicas)
        TRY(bad_group(id, fmt::format("it should have {} members and has {}", group.replicas, staying)));
      if (group.given_up_below > group.next_chunk)
        TRY(bad_group(id, "it has given up chunks that were never given out"));
    }
    return {};
  }
  Result<void> bad_group(GroupId id, const std::string& what) {
    return sink_.found({.problem = Problem::bad_group,
                        .text = fmt::format("group {}: {}", id.value(), what)});
  }

  // References have been counted.
  Result<void> check_chunks() {
    TableRows<tables::Chunks> chunks(snapshot_);
    TableRows<tables::Garbage> garbage(snapshot_);
    TRY(chunks.first());
    TRY(garbage.first());
    for (std::uint64_t rows = 1; chunks.valid(); ++rows) {
      if (rows % kRowsPerReport == 0) TRY(sink_.passed(kRowsPerReport));
      const ChunkId chunk = chunks.key();
      while (garbage.valid() && garbage.key() < chunk) TRY(garbage.next());
      if (chunks.record() != nullptr)
        TRY(check_chunk(chunk, *chunks.record(), garbage.valid() && garbage.key() == chunk));
      TRY(chunks.next());
    }
    return {};
  }
  Result<void> check_chunk(ChunkId chunk, const ChunkRecord& record, bool is_garbage) {
    const auto group = facts_.groups.find(chunk.group());
    if (group != facts_.groups.end()) {
      note_use(chunk);
    } else if (facts_.servers_are_whole) {
      TRY(sink_.found({.problem = Problem::chunk_of_unknown_group,
                       .text = fmt::format("chunk {} is of a group that does not exist", to_string(chunk)),
                       .chunk = chunk}));
    }
    if (record.length > kChunkSizeMax)
      TRY(sink_.found({.problem = Problem::wrong_chunk_length,
                       .text = fmt::format("chunk {} is noted as {} bytes long, which no chunk can be",
                                           to_string(chunk), record.length),
                       .chunk = chunk}));
    if (!is_garbage) return {};
    return sink_.found({.problem = Problem::used_garbage,
                        .text = fmt::format("chunk {} is in use and noted as garbage, too",
                                            to_string(chunk)),
                        .mendable = true,
                        .chunk = chunk});
  }

  Result<void> check_garbage() {
    TableRows<tables::Garbage> rows(snapshot_);
    TRY(rows.first());
    while (rows.valid()) {
      if (rows.record() != nullptr) TRY(check_garbage(rows.key(), *rows.record()));
      TRY(rows.next());
    }
    return {};
  }
  Result<void> check_garbage(ChunkId chunk, const GarbageRecord& record) {
    if (facts_.groups.contains(chunk.group())) note_use(chunk);
    if (!facts_.servers_are_whole) return {};
    const bool all_known =
        !record.servers.empty() && std::all_of(record.servers.begin(), record.servers.end(),
                                               [&](ServerId id) { return facts_.servers.contains(id); });
    if (all_known) return {};
    return sink_.found({.problem = Problem::garbage_of_nobody,
                        .text = fmt::format("chunk {} is to be deleted by a storage server that does not "
                                            "exist",
                                            to_string(chunk)),
                        .mendable = true,
                        .chunk = chunk});
  }

  // A row may outlive its chunk, or its server's membership: whoever makes
  // copies drops it then.
  Result<void> check_missing() {
    if (!facts_.servers_are_whole) return {};
    TableRows<tables::Missing> rows(snapshot_);
    TRY(rows.first());
    while (rows.valid()) {
      const MissingKey key = rows.key();
      if (!facts_.servers.contains(key.server))
        TRY(sink_.found({.problem = Problem::missing_of_nobody,
                         .text = fmt::format("storage server {} is to get chunk {}, but does not exist",
                                             key.server.value(), to_string(key.chunk)),
                         .mendable = true,
                         .chunk = key.chunk,
                         .server = key.server}));
      TRY(rows.next());
    }
    return {};
  }

  void note_use(ChunkId chunk) {
    std::uint64_t& last = last_chunks_[chunk.group()];
    last = std::max(last, chunk.serial());
  }
  Result<void> check_last_chunks() {
    for (const auto& [group, last] : last_chunks_) {
      const std::uint64_t next = facts_.groups.at(group).next_chunk;
      if (last < next) continue;
      TRY(sink_.found({.problem = Problem::chunk_given_again,
                       .text = fmt::format("group {} would give out chunk {} once more, which is in use",
                                           group.value(), to_string(ChunkId(group, next))),
                       .mendable = true,
                       .chunk = ChunkId(group, last)}));
    }
    return {};
  }

  Result<void> check_totals() {
    if (!facts_.cluster) return {};
    const ClusterRecord& row = *facts_.cluster;
    const Totals& counted = facts_.counted;
    TRY(check_total("inodes", row.inodes, counted.inodes));
    TRY(check_total("chunks", row.chunks, counted.chunks));
    TRY(check_total("bytes in chunks", row.chunk_bytes, counted.chunk_bytes));
    TRY(check_total("missing copies", row.missing, counted.missing));
    TRY(check_total("bytes of missing copies", row.missing_bytes, counted.missing_bytes));
    TRY(check_total("garbage chunks", row.garbage, counted.garbage));
    TRY(check_total("directories to be converted", row.walks, counted.walks));
    TRY(check_total("files to be converted", row.conversions, counted.conversions));
    return check_total("bytes to be converted", row.conversion_bytes, counted.conversion_bytes);
  }
  Result<void> check_total(const char* what, std::uint64_t stored, std::uint64_t counted) {
    if (stored == counted) return {};
    return sink_.found({.problem = Problem::wrong_total,
                        .text = fmt::format("the number of {} is noted as {}, but it is {}", what, stored,
                                            counted),
                        .mendable = true,
                        .name = what,
                        .delta = static_cast<std::int64_t>(counted - stored)});
  }

  const KvSnapshot& snapshot_;
  const RowFacts& facts_;
  FindingSink& sink_;
  std::map<GroupId, std::uint64_t> last_chunks_;
};

}  // namespace

Result<void> pass_chunks(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink) {
  return ChunkPass(snapshot, facts, sink).run();
}

}  // namespace dfs::fsck
