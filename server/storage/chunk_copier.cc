#include "server/storage/chunk_copier.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <future>
#include <utility>

#include "common/base/checksum.h"
#include "common/rpc/protocol.h"
#include "server/storage/copy_check.h"

namespace dfs::storage {
namespace {

ChunkId chunk_to_read(const CopyTask& task) {
  return task.from == ChunkId{} ? task.chunk : task.from;
}

// Who may have the chunk besides `self`, the best to ask last.
std::vector<ServerId> sources_of(const CopyTask& task, ServerId self, const GroupTable& table,
                                 bool& all_alive) {
  std::vector<std::pair<int, ServerId>> order;
  const auto add = [&](ServerId server, int rank) {
    if (server == self) return;
    const auto info = table.servers.find(server);
    if (info == table.servers.end() || !info->second.alive) {
      all_alive = false;
      return;
    }
    order.emplace_back(rank, server);
  };
  if (const auto group = table.groups.find(chunk_to_read(task).group()); group != table.groups.end()) {
    for (const GroupMember& member : group->second.members) {
      // Spread over those that have everything.
      const auto turn = static_cast<int>((member.server.value() + task.chunk.serial()) % 16);
      add(member.server, member.state == MemberState::active    ? turn
                         : member.state == MemberState::leaving ? 16
                                                                : 17);
    }
  }
  for (const ServerId server : task.sources) add(server, 18);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return b < a; });
  std::vector<ServerId> sources;
  for (const auto& [rank, server] : order)
    if (std::find(sources.begin(), sources.end(), server) == sources.end())
      sources.push_back(server);
  return sources;
}

}  // namespace

CopyOutcome ChunkCopier::copy(std::span<const CopyTask> tasks, ServerId self,
                              const GroupTable& table) {
  CopyOutcome outcome;
  std::vector<Wanted> all;
  for (const CopyTask& task : tasks) {
    const auto here = check_copy(stores_, task.chunk);
    if (!here) {
      outcome.failed.push_back({task.chunk, false, here.error().to_string()});
    } else if (here->state == CopyState::good) {
      outcome.copied.push_back(task.chunk);
    } else {
      Wanted wanted{.chunk = task.chunk, .from = chunk_to_read(task),
                    .damaged = here->state == CopyState::damaged, .sources = {}};
      // Perhaps only from a disk that has failed and can still be read.
      if (!wanted.damaged && copy_here(wanted, outcome)) continue;
      wanted.sources = sources_of(task, self, table, wanted.all_asked);
      all.push_back(std::move(wanted));
    }
  }
  std::vector<Wanted*> left;
  for (Wanted& wanted : all) left.push_back(&wanted);
  while (!left.empty()) {
    std::map<ServerId, WantedList> by_source;
    for (Wanted* wanted : left) {
      if (wanted->sources.empty()) {
        outcome.failed.push_back({wanted->chunk, wanted->all_asked, wanted->why});
        continue;
      }
      const ServerId source = wanted->sources.back();
      wanted->sources.pop_back();
      by_source[source].push_back(wanted);
    }
    left.clear();
    for (const auto& [source, wanted] : by_source) {
      const std::size_t before = outcome.copied.size();
      copy_from(source, wanted, outcome);
      for (Wanted* each : wanted) {
        const auto done = outcome.copied.begin() + static_cast<std::ptrdiff_t>(before);
        if (std::find(done, outcome.copied.end(), each->chunk) == outcome.copied.end())
          left.push_back(each);
      }
    }
  }
  sync(outcome);
  return outcome;
}

bool ChunkCopier::copy_here(const Wanted& wanted, CopyOutcome& outcome) {
  const auto store = stores_.store_of(wanted.from);
  if (!store || *store == nullptr) return false;
  const auto meta = (*store)->stat(wanted.from);
  if (!meta) return false;
  std::vector<std::byte> bytes(meta->length);
  for (std::uint32_t offset = 0; offset < meta->length; offset += kFrameBytesMax) {
    const ReadRange part{offset, std::min(kFrameBytesMax, meta->length - offset)};
    const auto read = (*store)->get(wanted.from, part, ReadFrom::disk);
    if (!read || read->bytes.size() != part.length) return false;
    if (!checksums_hold(read->bytes, read->checksums.data(), read->checksums.size())) return false;
    std::memcpy(bytes.data() + offset, read->bytes.data(), part.length);
  }
  const Result<void> kept = keep(wanted, *meta, bytes);
  outcome.bytes += meta->length;
  if (kept)
    outcome.copied.push_back(wanted.chunk);
  else
    outcome.failed.push_back({wanted.chunk, false, kept.error().to_string()});
  return true;
}

Result<std::vector<StoredChunk>> ChunkCopier::ask(ServerId server,
                                                  const std::vector<ChunkId>& chunks) {
  std::promise<Result<std::vector<StoredChunk>>> answered;
  const auto client = servers_.client(server);
  client->stat(chunks, [&](Result<std::vector<StoredChunk>> stored) {
    answered.set_value(std::move(stored));
  });
  return answered.get_future().get();
}

void ChunkCopier::copy_from(ServerId source, const WantedList& wanted, CopyOutcome& outcome) {
  std::vector<ChunkId> chunks;
  for (const Wanted* each : wanted) chunks.push_back(each->from);
  const auto stored = ask(source, chunks);
  if (!stored) {
    for (Wanted* each : wanted) {
      each->all_asked = false;
      each->why = stored.error().to_string();
    }
    return;
  }
  for (std::size_t at = 0; at < wanted.size();) at = fetch(source, wanted, *stored, at, outcome);
}

std::size_t ChunkCopier::fetch(ServerId source, const WantedList& wanted,
                               const std::vector<StoredChunk>& stored, std::size_t first,
                               CopyOutcome& outcome) {
  std::vector<std::size_t> fetched;
  std::uint64_t bytes = 0;
  std::size_t end = first;
  for (; end < wanted.size() && fetched.size() < kRangesPerGetMax; ++end) {
    const StoredChunk& chunk = stored[end];
    if (!chunk.present) {
      wanted[end]->why = to_string(chunk.chunk) + " is not there";
      continue;
    }
    if (bytes > 0 && bytes + chunk.length > kBytesAtOnce) break;
    bytes += chunk.length;
    fetched.push_back(end);
  }
  if (fetched.empty()) return end;

  std::vector<std::vector<std::byte>> memory;
  std::vector<GetArgs> ranges;
  for (const std::size_t index : fetched) {
    memory.emplace_back(stored[index].length);
    ranges.push_back({.chunk = stored[index].chunk, .offset = 0, .length = stored[index].length,
                      .into = memory.back().data()});
  }
  std::promise<std::vector<Result<void>>> answered;
  const auto client = servers_.client(source);
  client->get(std::move(ranges), [&](std::vector<Result<void>> results) {
    answered.set_value(std::move(results));
  });
  const std::vector<Result<void>> results = answered.get_future().get();
  for (std::size_t i = 0; i < fetched.size(); ++i) {
    Wanted& each = *wanted[fetched[i]];
    Result<void> done = results[i];
    const bool came = done.has_value();
    if (came) {
      outcome.bytes += memory[i].size();
      const StoredChunk& from = stored[fetched[i]];
      done = keep(each, {.chunk = from.chunk, .length = from.length, .inode = from.inode,
                         .file_offset = from.file_offset, .written = from.written,
                         .scattered = from.scattered}, memory[i]);
      if (done) outcome.copied.push_back(each.chunk);
    }
    if (done) continue;
    each.why = done.error().to_string();
    const Errc code = done.error().code;
    // What is the fault of our disk, or of the way, says nothing of their copy.
    if (came || (code != Errc::not_found && code != Errc::corrupt)) each.all_asked = false;
  }
  return end;
}

Result<void> ChunkCopier::keep(const Wanted& wanted, const ChunkMeta& from, BufferView bytes) {
  ChunkMeta meta = from;
  meta.chunk = wanted.chunk;
  const std::vector<Checksum> checksums = block_checksums(bytes);
  if (wanted.damaged) TRY(stores_.erase({&wanted.chunk, 1}));
  ChunkStore* const store = TRY(stores_.store_to_put(meta));
  // Nothing is in danger for want of a chunk that is new.
  const auto writer = is_new(wanted) ? ChunkStore::Writer::client : ChunkStore::Writer::repair;
  return store->put(meta, checksums, std::array{bytes}, writer);
}

void ChunkCopier::sync(CopyOutcome& outcome) {
  if (outcome.copied.empty()) return;
  std::promise<Result<void>> synced;
  stores_.sync(outcome.copied, [&](Result<void> result) { synced.set_value(std::move(result)); });
  const Result<void> done = synced.get_future().get();
  if (done) return;
  for (const ChunkId chunk : std::exchange(outcome.copied, {}))
    outcome.failed.push_back({chunk, false, done.error().to_string()});
}

std::vector<ChunkId> ChunkCopier::held_by_all_members(std::span<const ChunkId> chunks,
                                                      ServerId self, const GroupTable& table) {
  std::map<GroupId, std::vector<ChunkId>> by_group;
  for (const ChunkId chunk : chunks) by_group[chunk.group()].push_back(chunk);
  std::vector<ChunkId> held;
  for (auto& [id, left] : by_group) {
    const auto group = table.groups.find(id);
    if (group == table.groups.end() || group->second.members.empty()) continue;
    for (const GroupMember& member : group->second.members) {
      const bool has_all = member.server != self && member.state == MemberState::active;
      const auto stored = has_all ? ask(member.server, left)
                                  : fail(Errc::unavailable, "the group is not whole");
      if (!stored) {
        left.clear();
        break;
      }
      std::vector<ChunkId> here;
      for (const StoredChunk& chunk : *stored)
        if (chunk.present) here.push_back(chunk.chunk);
      left = std::move(here);
    }
    held.insert(held.end(), left.begin(), left.end());
  }
  return held;
}

}  // namespace dfs::storage
