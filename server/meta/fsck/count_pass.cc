#include "server/meta/fsck/count_pass.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "server/meta/fsck/path_names.h"
#include "server/meta/fsck/table_rows.h"

namespace dfs::fsck {
namespace {

constexpr std::uint64_t kIdsAtOnce = 100'000;
constexpr std::uint64_t kRowsPerReport = 1'024;

// The ids of some buckets whose sums differ: those that are counted at once.
class Share {
 public:
  explicit Share(const Balance& balance) : balance_(balance), chosen_(Balance::kBuckets) {}

  // Goes on to the next buckets; false if none is left. `ids`: about how many there are.
  bool next(std::uint64_t ids) {
    chosen_.assign(Balance::kBuckets, false);
    const std::uint64_t ids_per_bucket = ids / Balance::kBuckets + 1;
    const std::uint64_t buckets_max = std::max<std::uint64_t>(1, kIdsAtOnce / ids_per_bucket);
    std::uint64_t chosen = 0;
    for (; at_ < Balance::kBuckets && chosen < buckets_max; ++at_) {
      if (balance_.is_bucket_balanced(at_)) continue;
      chosen_[at_] = true;
      ++chosen;
    }
    return chosen > 0;
  }
  bool has(std::uint64_t id) const { return chosen_[balance_.bucket_of(id)]; }

 private:
  const Balance& balance_;
  std::vector<bool> chosen_;
  std::size_t at_ = 0;
};

// Goes through a table, and tells the sink of it.
template <typename Table, typename Visit>
Result<void> for_each(const KvSnapshot& snapshot, FindingSink& sink, const Visit& visit) {
  TableRows<Table> rows(snapshot);
  TRY(rows.first());
  for (std::uint64_t count = 1; rows.valid(); ++count) {
    TRY(visit(rows.key(), rows.record()));
    if (count % kRowsPerReport == 0) TRY(sink.passed(kRowsPerReport));
    TRY(rows.next());
  }
  return {};
}

// --- names -----------------------------------------------------------------------------

class NameCount {
 public:
  NameCount(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink)
      : snapshot_(snapshot), facts_(facts), sink_(sink), paths_(snapshot), orphans_(snapshot) {}

  Result<void> run(const Share& share) {
    names_.clear();
    TRY(for_each<tables::Dirents>(
        snapshot_, sink_, [&](const NamedKey& key, const DirentRecord* entry) -> Result<void> {
          if (entry != nullptr && share.has(entry->inode.value())) count(key, *entry);
          return {};
        }));
    return for_each<tables::Inodes>(
        snapshot_, sink_, [&](InodeId inode, const InodeRecord* record) -> Result<void> {
          if (record == nullptr || inode == kRootInode || !share.has(inode.value())) return {};
          return check(inode, *record);
        });
  }

 private:
  struct Place {
    InodeId parent;
    std::string name;  // of directories only
  };
  struct Names {
    std::uint32_t count = 0;
    Place first;
    Place other;
  };

  void count(const NamedKey& key, const DirentRecord& entry) {
    Names& names = names_[entry.inode];
    if (++names.count > 2 || (names.count == 2 && entry.type != FileType::directory)) return;
    Place& place = names.count == 1 ? names.first : names.other;
    place.parent = key.inode;
    if (entry.type == FileType::directory) place.name = key.name;
  }

  Result<void> check(InodeId inode, const InodeRecord& record) {
    const auto counted = names_.find(inode);
    const Names none;
    const Names& names = counted == names_.end() ? none : counted->second;
    const bool is_right = record.is_directory() ? names.count == (record.nlink > 0 ? 1 : 0) &&
                                                      (names.count == 0 || names.first.parent == record.parent)
                                                : names.count == record.nlink;
    if (is_right) return {};
    if (names.count == 0) return nothing_names(inode, record);
    if (record.is_directory() && names.count > 1) return second_name(inode, record, names);
    if (record.is_directory() && record.nlink > 0) return wrong_parent(inode, names.first);
    const std::string path = TRY(paths_.of(inode));
    const std::uint32_t links = record.is_directory() ? 2 : names.count;
    return found({.problem = Problem::wrong_links,
                  .text = fmt::format("{} counts {} links, but has {}", path, record.nlink, links),
                  .inode = inode,
                  .delta = std::int64_t{links} - record.nlink});
  }

  Result<void> nothing_names(InodeId inode, const InodeRecord& record) {
    const bool is_orphan = TRY(orphans_.find(inode));
    if (is_orphan)
      return found({.problem = Problem::wrong_links,
                    .text = fmt::format("inode {} waits to be purged, but counts {} links", inode.value(),
                                        record.nlink),
                    .inode = inode,
                    .delta = -std::int64_t{record.nlink}});
    return found({.problem = Problem::nameless,
                  .text = fmt::format("inode {} has no name, but counts {} links", inode.value(),
                                      record.nlink),
                  .inode = inode,
                  .delta = -std::int64_t{record.nlink}});
  }

  Result<void> second_name(InodeId inode, const InodeRecord& record, const Names& names) {
    // The one that its own row speaks of stays.
    const bool first_stays = names.first.parent == record.parent;
    const Place& stays = first_stays ? names.first : names.other;
    const Place& goes = first_stays ? names.other : names.first;
    const std::string kept = TRY(paths_.of_entry(stays.parent, stays.name));
    const std::string other = TRY(paths_.of_entry(goes.parent, goes.name));
    return found({.problem = Problem::second_name,
                  .text = fmt::format("directory {} has {} names: {} and {}", inode.value(), names.count,
                                      kept, other),
                  .inode = inode,
                  .parent = goes.parent,
                  .name = goes.name,
                  .other_parent = stays.parent,
                  .other_name = stays.name});
  }

  Result<void> wrong_parent(InodeId inode, const Place& place) {
    const std::string path = TRY(paths_.of_entry(place.parent, place.name));
    return found({.problem = Problem::wrong_parent,
                  .text = fmt::format("{} says that it lies in another directory", path),
                  .inode = inode,
                  .parent = place.parent,
                  .name = place.name});
  }

  Result<void> found(Finding finding) {
    finding.mendable = facts_.names_are_whole;
    return sink_.found(std::move(finding));
  }

  const KvSnapshot& snapshot_;
  const RowFacts& facts_;
  FindingSink& sink_;
  PathNames paths_;
  TableRows<tables::Orphans> orphans_;
  std::unordered_map<InodeId, Names> names_;
};

// --- references --------------------------------------------------------------------------

class ReferenceCount {
 public:
  ReferenceCount(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink)
      : snapshot_(snapshot), facts_(facts), sink_(sink), paths_(snapshot) {}

  Result<void> run(const Share& share) {
    uses_.clear();
    TRY(for_each<tables::Extents>(
        snapshot_, sink_, [&](const ExtentKey& key, const ExtentRecord* extent) -> Result<void> {
          if (extent != nullptr && share.has(extent->chunk.value())) count(key, *extent);
          return {};
        }));
    const auto settle = [&](ChunkId chunk, const ChunkRecord* record) -> Result<void> {
      if (!share.has(chunk.value())) return {};
      if (record == nullptr) return does_not_hold(chunk);
      TRY(check(chunk, *record));
      uses_.erase(chunk);
      return {};
    };
    TRY(for_each<tables::Chunks>(snapshot_, sink_, settle));
    for (const auto& [chunk, use] : uses_) TRY(has_no_row(chunk, use));
    return {};
  }

 private:
  struct Use {
    std::uint32_t count = 0;
    std::uint32_t end = 0;  // of the bytes that are used
    InodeId file;           // one of them
  };

  void count(const ExtentKey& key, const ExtentRecord& extent) {
    Use& use = uses_[extent.chunk];
    ++use.count;
    const std::uint64_t end = std::uint64_t{extent.chunk_offset} + extent.length;
    use.end = std::max(use.end, static_cast<std::uint32_t>(std::min<std::uint64_t>(end, kChunkSizeMax)));
    use.file = key.inode;
  }

  Result<void> check(ChunkId chunk, const ChunkRecord& record) {
    const auto used = uses_.find(chunk);
    const std::uint32_t count = used == uses_.end() ? 0 : used->second.count;
    if (count == record.references) return {};
    return sink_.found({.problem = Problem::wrong_references,
                        .text = fmt::format("chunk {} counts {} extents that use it, but there are {}",
                                            to_string(chunk), record.references, count),
                        .mendable = facts_.extents_are_whole,
                        .chunk = chunk,
                        .delta = std::int64_t{count} - record.references});
  }

  Result<void> does_not_hold(ChunkId chunk) {
    if (uses_.contains(chunk)) return {};  // has_no_row() says so
    return sink_.found({.problem = Problem::unused_chunk,
                        .text = fmt::format("chunk {}, whose record does not hold, is used by no file",
                                            to_string(chunk)),
                        .mendable = facts_.extents_are_whole,
                        .chunk = chunk});
  }

  Result<void> has_no_row(ChunkId chunk, const Use& use) {
    const std::string path = TRY(paths_.of(use.file));
    return sink_.found({.problem = Problem::missing_chunk_row,
                        .text = fmt::format("{} uses chunk {}, which is not noted as in use", path,
                                            to_string(chunk)),
                        .mendable = facts_.extents_are_whole,
                        .inode = use.file,
                        .chunk = chunk,
                        .length = use.end,
                        .count = use.count});
  }

  const KvSnapshot& snapshot_;
  const RowFacts& facts_;
  FindingSink& sink_;
  PathNames paths_;
  std::unordered_map<ChunkId, Use> uses_;
};

}  // namespace

Result<void> count_names(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink) {
  NameCount count(snapshot, facts, sink);
  Share share(facts.names);
  while (share.next(std::max(facts.counted.inodes, facts.names_counted))) TRY(count.run(share));
  return {};
}

Result<void> count_references(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink) {
  ReferenceCount count(snapshot, facts, sink);
  Share share(facts.references);
  while (share.next(std::max(facts.counted.chunks, facts.extents_counted))) TRY(count.run(share));
  return {};
}

}  // namespace dfs::fsck
