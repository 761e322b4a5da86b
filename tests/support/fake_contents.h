// What the metadata double knows of bytes: extents, commits, clones, and which
// chunk ids it has given out. It notes what a client must not do.
//
// Threads: none of its own; whoever has it locks.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "common/rpc/meta_api.h"
#include "tests/support/fake_inodes.h"
#include "tests/support/fake_storage_pool.h"

namespace dfs {

class FakeContents {
 public:
  // All must outlive it.
  FakeContents(FakeStoragePool& storage, FakeInodes& inodes, EventLog* log)
      : storage_(storage), inodes_(inodes), log_(log) {}

  OpenResult open(FakeInode& inode, bool truncate) {
    if (truncate) inodes_.resize(inode, 0);
    ++inode.opens;
    OpenResult result;
    result.attributes = inode.attributes;
    result.extents = inode.list(0);
    result.extents_complete = result.extents.size() <= extents_per_page;
    if (!result.extents_complete) result.extents.resize(extents_per_page);
    return result;
  }
  Result<MetaResult> list(const GetExtentsArgs& args) {
    const FakeInode* inode = TRY(inodes_.find(args.inode));
    ExtentsResult result;
    result.extents = inode->list(args.offset);
    const std::size_t page = std::min(args.extents_max, extents_per_page);
    result.complete = result.extents.size() <= page;
    if (!result.complete) result.extents.resize(page);
    result.data_change = inode->attributes.data_change;
    return result;
  }
  Result<MetaResult> commit(const CommitArgs& args, const GroupTable& table) {
    if (full) return fail(Errc::no_space, "no room for metadata");
    for (const CommitFile& file : args.files) {
      const auto found = inodes_.find(file.inode);
      const bool follows = !found || !file.only_if || (*found)->attributes.data_change == *file.only_if;
      if (!follows) return fail(Errc::stale_epoch, "the file has been changed since");
    }
    ++commits;
    CommitResult result;
    for (const ChunkPlacement& placement : args.placements) placements.push_back(placement);
    for (const CommitFile& file : args.files) {
      const auto found = inodes_.find(file.inode);
      if (!found) continue;
      commit_file(**found, file, args, table);
      result.attributes.push_back((*found)->attributes);
      ++files_committed;
    }
    if (log_ != nullptr) log_->add(args.sync ? "commit-sync" : "commit");
    return result;
  }
  Result<MetaResult> clone(const CloneArgs& args) {
    const FakeInode* source = TRY(inodes_.find(args.source));
    FakeInode* target = TRY(inodes_.find(args.inode));
    const std::uint64_t size = source->attributes.size;
    const std::uint64_t most = std::min(args.length, clone_bytes_max);
    const std::uint64_t length = std::min(most, size - std::min(size, args.source_offset));
    std::vector<FakeInode::Extents::Range> taken;
    source->extents.visit(
        args.source_offset, length,
        [&](const FakeInode::Extents::Range& range) { taken.push_back(range); });
    inodes_.cut(*target, args.offset, length);
    for (const FakeInode::Extents::Range& range : taken) {
      inodes_.lay(*target, {range.offset + args.offset - args.source_offset,
                            static_cast<std::uint32_t>(range.length), range.source,
                            static_cast<std::uint32_t>(range.source_offset)});
    }
    target->attributes.size = std::max(target->attributes.size, args.offset + length);
    inodes_.touch_contents(*target);
    target->attributes.mtime = target->attributes.ctime = args.mtime;
    if (args.clear_set_id) target->attributes.mode &= 01777;
    return CloneResult{target->attributes, length};
  }
  Result<MetaResult> allocate(const AllocateArgs& args, const GroupTable& table) {
    if (full) return fail(Errc::no_space, "no room");
    TRY(inodes_.find(args.inode));
    ++allocations;
    // Groups without the servers to avoid; if there are none, any.
    std::vector<GroupId> good;
    for (const auto& [id, group] : table.groups) {
      const bool bad = std::any_of(group.members.begin(), group.members.end(), [&](const GroupMember& m) {
        return std::find(args.avoid.begin(), args.avoid.end(), m.server) != args.avoid.end();
      });
      if (!bad) good.push_back(id);
    }
    if (good.empty()) {
      for (const auto& [id, group] : table.groups) good.push_back(id);
    }
    AllocateResult result;
    const std::uint32_t each = std::max<std::uint32_t>(1, args.count / static_cast<std::uint32_t>(good.size()));
    for (const GroupId id : good) {
      result.ranges.push_back({ChunkId{id, last_serial_ + 1}, each, "capability", 0});
      last_serial_ += each;
    }
    return result;
  }

  // --- for tests ---
  std::vector<std::string> violations;
  std::vector<ChunkPlacement> placements;
  std::uint32_t extents_per_page = 8192;
  std::uint64_t clone_bytes_max = UINT64_MAX;
  bool full = false;
  std::size_t commits = 0;
  std::size_t files_committed = 0;
  std::size_t allocations = 0;

 private:
  void commit_file(FakeInode& inode, const CommitFile& file, const CommitArgs& args,
                   const GroupTable& table) {
    for (const FileRange& hole : file.holes) inodes_.cut(inode, hole.offset, hole.length);
    for (const Extent& extent : file.extents) {
      check_chunk(extent, args, table);
      inodes_.lay(inode, extent);
    }
    inode.attributes.size = std::max(inode.attributes.size, file.size_at_least);
    inodes_.touch_contents(inode);
    if (file.mtime) inode.attributes.mtime = inode.attributes.ctime = *file.mtime;
    if (file.clear_set_id) inode.attributes.mode &= 01777;
  }
  void check_chunk(const Extent& extent, const CommitArgs& args, const GroupTable& table) {
    const auto group = table.groups.find(extent.chunk.group());
    if (group == table.groups.end()) {
      violations.push_back("a commit names a chunk of no group");
      return;
    }
    std::vector<ServerId> missing;
    for (const ChunkPlacement& placement : args.placements) {
      if (placement.chunk == extent.chunk) missing = placement.missing_on;
    }
    for (const GroupMember& member : group->second.members) {
      if (std::find(missing.begin(), missing.end(), member.server) != missing.end()) continue;
      if (member.state == MemberState::leaving) continue;
      const std::string where = to_string(extent.chunk) + " on server " + std::to_string(member.server.value());
      if (!storage_.has(member.server, extent.chunk)) violations.push_back("commit without " + where);
      else if (args.sync && !storage_.synced(member.server, extent.chunk)) {
        violations.push_back("synced commit without stable " + where);
      }
    }
  }

  FakeStoragePool& storage_;
  FakeInodes& inodes_;
  EventLog* const log_;
  std::uint64_t last_serial_ = 0;
};

}  // namespace dfs
