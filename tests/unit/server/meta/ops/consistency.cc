#include "tests/unit/server/meta/ops/consistency.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "server/meta/ops/inode_acl.h"

namespace dfs {
namespace {

template <typename Table>
std::vector<Row<Table>> all_rows(const KvStore& store) {
  std::vector<Row<Table>> rows;
  const auto scanned =
      for_each_row<Table>(store, [&](const auto& key, auto&& record) -> Result<void> {
        rows.push_back({key, std::move(record)});
        return {};
      });
  invariant(scanned.has_value(), "a table can be read");
  return rows;
}

// What the directory entries say of an inode.
struct Named {
  std::uint32_t names = 0;
  std::uint32_t subdirectories = 0;
  std::uint64_t entries = 0;
  InodeId parent;
};

class Check {
 public:
  explicit Check(const KvStore& store) : store_(store) {
    for (auto& row : all_rows<tables::Inodes>(store)) inodes_.emplace(row.key, row.record);
  }

  std::vector<std::string> run(const Totals& totals) {
    names();
    inodes();
    contents();
    xattrs();
    expect(totals == counted_, "totals are {}, counted {}", text_of(totals), text_of(counted_));
    return std::move(problems_);
  }

 private:
  static std::string text_of(const Totals& totals) {
    return fmt::format("{} inodes, {} chunks, {} bytes, {} missing, {} bytes, {} garbage",
                       totals.inodes, totals.chunks, totals.chunk_bytes, totals.missing,
                       totals.missing_bytes, totals.garbage);
  }

  template <typename... Args>
  void expect(bool holds, fmt::format_string<Args...> format, Args&&... args) {
    if (!holds) problems_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  void names() {
    std::map<ListingKey, ListingRecord> listing;
    for (auto& row : all_rows<tables::Listing>(store_)) listing.emplace(row.key, row.record);
    for (const auto& row : all_rows<tables::Dirents>(store_)) {
      const InodeId parent = row.key.inode;
      const auto listed = listing.find({parent, row.record.cookie});
      expect(listed != listing.end() && listed->second.name == row.key.name &&
                 listed->second.inode == row.record.inode && listed->second.type == row.record.type,
             "'{}' in {} is not in the listing", row.key.name, parent.value());
      if (listed != listing.end()) listing.erase(listed);
      const auto inode = inodes_.find(row.record.inode);
      expect(inode != inodes_.end() && inode->second.type == row.record.type,
             "'{}' in {} leads nowhere", row.key.name, parent.value());
      const auto directory = inodes_.find(parent);
      expect(directory != inodes_.end() && directory->second.is_directory() &&
                 row.record.cookie < directory->second.next_cookie,
             "'{}' is in {}, which is no such directory", row.key.name, parent.value());
      Named& named = named_[row.record.inode];
      ++named.names;
      named.parent = parent;
      ++named_[parent].entries;
      if (row.record.type == FileType::directory) ++named_[parent].subdirectories;
    }
    for (const auto& [key, record] : listing)
      expect(false, "'{}' is listed in {} and not there", record.name, key.parent.value());
  }

  void inodes() {
    std::set<InodeId> orphans;
    for (const auto& row : all_rows<tables::Orphans>(store_)) orphans.insert(row.key);
    for (const auto& [id, record] : inodes_) {
      const Named& named = named_[id];
      const bool orphan = orphans.erase(id) > 0;
      const bool is_root = id == kRootInode;
      expect(orphan == (named.names == 0 && !is_root), "inode {} has {} names, orphan: {}",
             id.value(), named.names, orphan);
      std::uint32_t nlink = named.names;
      if (record.is_directory()) {
        nlink = orphan ? 0 : 2 + named.subdirectories;
        expect(named.names <= 1, "directory {} has {} names", id.value(), named.names);
        expect(orphan || is_root || record.parent == named.parent, "directory {} has parent {}",
               id.value(), record.parent.value());
      }
      expect(record.nlink == nlink, "inode {} has nlink {}, not {}", id.value(), record.nlink,
             nlink);
      expect(record.entries == named.entries, "directory {} has {} entries, not {}", id.value(),
             record.entries, named.entries);
      ++counted_.inodes;
    }
    expect(orphans.empty(), "{} orphans have no inode", orphans.size());
  }

  void contents() {
    std::map<ChunkId, ChunkRecord> used;
    std::map<InodeId, std::uint64_t> allocated;
    InodeId file;
    std::uint64_t end = 0;
    for (const auto& row : all_rows<tables::Extents>(store_)) {
      if (row.key.inode != file) end = 0;
      file = row.key.inode;
      expect(row.key.offset >= end, "extents of {} overlap at {}", file.value(), row.key.offset);
      end = row.key.offset + row.record.length;
      const auto inode = inodes_.find(file);
      expect(inode != inodes_.end() && inode->second.is_regular() && end <= inode->second.size,
             "an extent of {} ends at {}", file.value(), end);
      allocated[file] += row.record.length;
      ChunkRecord& chunk = used[row.record.chunk];
      ++chunk.references;
      chunk.length = std::max(chunk.length, row.record.chunk_offset + row.record.length);
    }
    for (const auto& [id, record] : inodes_)
      expect(record.allocated == allocated[id], "inode {} has {} bytes allocated, not {}",
             id.value(), record.allocated, allocated[id]);
    chunks(used);
  }

  void chunks(std::map<ChunkId, ChunkRecord>& used) {
    for (const auto& row : all_rows<tables::Chunks>(store_)) {
      const ChunkRecord& found = used[row.key];
      expect(found.references == row.record.references, "chunk {} has {} references, not {}",
             to_string(row.key), row.record.references, found.references);
      expect(found.length <= row.record.length, "chunk {} is {} long, used to {}",
             to_string(row.key), row.record.length, found.length);
      used.erase(row.key);
      ++counted_.chunks;
      counted_.chunk_bytes += row.record.length;
    }
    for (const auto& [chunk, record] : used)
      expect(record.references == 0, "chunk {} has no row", to_string(chunk));
    for (const auto& row : all_rows<tables::Garbage>(store_)) {
      const auto chunk = row_exists<tables::Chunks>(row.key);
      expect(!chunk, "chunk {} is in use and garbage", to_string(row.key));
      expect(!row.record.servers.empty(), "garbage {} is nowhere", to_string(row.key));
      ++counted_.garbage;
    }
    for (const auto& row : all_rows<tables::Missing>(store_)) {
      ++counted_.missing;
      counted_.missing_bytes += row.record.length;
    }
    counted_.walks = all_rows<tables::Walks>(store_).size();
    for (const auto& row : all_rows<tables::Conversions>(store_)) {
      ++counted_.conversions;
      counted_.conversion_bytes += row.record.bytes;
    }
  }

  void xattrs() {
    std::map<InodeId, std::uint32_t> counts;
    for (const auto& row : all_rows<tables::Xattrs>(store_)) {
      ++counts[row.key.inode];
      if (ops::is_acl_name(row.key.name)) access_list(row.key, row.record);
    }
    for (const auto& [id, record] : inodes_) {
      expect(record.xattrs == counts[id], "inode {} has {} xattrs, not {}", id.value(),
             record.xattrs, counts[id]);
      counts.erase(id);
    }
    for (const auto& [id, count] : counts)
      expect(false, "{} xattrs belong to {}, which is gone", count, id.value());
  }

  void access_list(const NamedKey& key, const XattrRecord& record) {
    const auto list = ops::Acl::parse(record.value);
    expect(list.has_value(), "inode {} has a broken {}", key.inode.value(), key.name);
    if (!list || key.name != ops::kAccessAclName) return;
    const auto inode = inodes_.find(key.inode);
    expect(inode != inodes_.end() && (inode->second.mode & 0777U) == list->mode_bits(),
           "the access list of {} and its mode differ", key.inode.value());
    expect(!list->is_minimal(), "the access list of {} says no more than its mode",
           key.inode.value());
  }

  template <typename Table>
  bool row_exists(typename Table::View key) {
    std::string raw;
    raw_key<Table>(raw, key);
    const auto found = store_.get(raw);
    return found && found->has_value();
  }

  const KvStore& store_;
  std::map<InodeId, InodeRecord> inodes_;
  std::map<InodeId, Named> named_;
  Totals counted_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> find_inconsistencies(const KvStore& store, const Totals& totals) {
  return Check(store).run(totals);
}

}  // namespace dfs
