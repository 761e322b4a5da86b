#include "server/meta/fsck/row_pass.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "server/meta/store/tables.h"

namespace dfs::fsck {
namespace {

constexpr std::uint64_t kRowsPerReport = 1'024;
// A cursor keeps what the store has replaced since it was made.
constexpr std::uint64_t kRowsPerCursor = 1 << 17;

class RowPass {
 public:
  RowPass(const KvSnapshot& snapshot, FindingSink& sink) : snapshot_(snapshot), sink_(sink) {}

  Result<RowFacts> run() {
    auto cursor = snapshot_.cursor();
    cursor->seek("");
    for (std::uint64_t rows = 1; cursor->valid(); ++rows) {
      TRY(look_at(cursor->key(), cursor->value()));
      if (rows % kRowsPerReport == 0) TRY(sink_.passed(kRowsPerReport));
      if (rows % kRowsPerCursor == 0) {
        const std::string key(cursor->key());
        cursor = snapshot_.cursor();
        cursor->seek(key);
      }
      cursor->next();
    }
    TRY(cursor->status());
    TRY(check_ids());
    TRY(check_replies());
    return std::move(facts_);
  }

 private:
  Result<void> look_at(std::string_view key, std::string_view value) {
    switch (key.empty() ? '\0' : key.front()) {
      case tables::Inodes::kPrefix: return decode_one<tables::Inodes>(key, value);
      case tables::Dirents::kPrefix: return decode_one<tables::Dirents>(key, value);
      case tables::Listing::kPrefix: return decode_one<tables::Listing>(key, value);
      case tables::Extents::kPrefix: return decode_one<tables::Extents>(key, value);
      case tables::Xattrs::kPrefix: return decode_one<tables::Xattrs>(key, value);
      case tables::Chunks::kPrefix: return decode_one<tables::Chunks>(key, value);
      case tables::Garbage::kPrefix: return decode_one<tables::Garbage>(key, value);
      case tables::Orphans::kPrefix: return decode_one<tables::Orphans>(key, value);
      case tables::Groups::kPrefix: return decode_one<tables::Groups>(key, value);
      case tables::Missing::kPrefix: return decode_one<tables::Missing>(key, value);
      case tables::Conversions::kPrefix: return decode_one<tables::Conversions>(key, value);
      case tables::Walks::kPrefix: return decode_one<tables::Walks>(key, value);
      case tables::Twins::kPrefix: return decode_one<tables::Twins>(key, value);
      case tables::Servers::kPrefix: return decode_one<tables::Servers>(key, value);
      case tables::Sessions::kPrefix: return decode_one<tables::Sessions>(key, value);
      case tables::Replies::kPrefix: return decode_one<tables::Replies>(key, value);
      case tables::Cluster::kPrefix: return decode_one<tables::Cluster>(key, value);
      default:
        return sink_.found({.problem = Problem::unknown_row,
                            .text = fmt::format("the row at key {} belongs to no table of this version",
                                                keys::for_people(key)),
                            .raw_key = std::string(key)});
    }
  }

  template <typename Table>
  Result<void> decode_one(std::string_view raw, std::string_view value) {
    typename Table::Key key;
    typename Table::Record record;
    const bool key_holds = keys::parse(raw.substr(1), key);
    if (key_holds && decode(value, record)) {
      take(key, record);
      return {};
    }
    unreadable<Table>(key, key_holds);
    // The next pass names the file.
    if (std::is_same_v<Table, tables::Extents> && key_holds) return {};
    return sink_.found({.problem = Problem::unreadable_row,
                        .text = fmt::format("the {} record at key {} does not hold", Table::kName,
                                            keys::for_people(raw)),
                        .mendable = is_mendable<Table>(),
                        .raw_key = std::string(raw)});
  }

  // What can be made anew from elsewhere, or is only a note.
  template <typename Table>
  static constexpr bool is_mendable() {
    return std::is_same_v<Table, tables::Listing> || std::is_same_v<Table, tables::Garbage> ||
           std::is_same_v<Table, tables::Missing> || std::is_same_v<Table, tables::Replies>;
  }

  template <typename Table>
  void unreadable(const typename Table::Key& key, bool key_holds) {
    if constexpr (std::is_same_v<Table, tables::Dirents>) facts_.names_are_whole = false;
    if constexpr (std::is_same_v<Table, tables::Inodes>) {
      if (key_holds) facts_.last_inode = std::max(facts_.last_inode, key);
    }
    if constexpr (std::is_same_v<Table, tables::Extents>) facts_.extents_are_whole = false;
    if constexpr (std::is_same_v<Table, tables::Servers> || std::is_same_v<Table, tables::Groups>)
      facts_.servers_are_whole = false;
    if constexpr (std::is_same_v<Table, tables::Sessions>) facts_.sessions_are_whole = false;
    // To be counted, whatever the extents say.
    if constexpr (std::is_same_v<Table, tables::Chunks>) {
      if (key_holds) facts_.references.add(key.value(), 1, random_number());
    }
  }

  void take(InodeId inode, const InodeRecord& record) {
    ++facts_.counted.inodes;
    facts_.last_inode = std::max(facts_.last_inode, inode);
    if (!record.is_directory()) {
      facts_.names.add(inode.value(), -std::int64_t{record.nlink});
    } else if (inode != kRootInode && record.nlink > 0) {
      facts_.names.add(inode.value(), -1);
      facts_.names.add(inode.value(), -1, record.parent.value());
    }
  }
  void take(const NamedKey& key, const DirentRecord& record) {
    ++facts_.names_counted;
    facts_.names.add(record.inode.value(), 1);
    if (record.type == FileType::directory)
      facts_.names.add(record.inode.value(), 1, key.inode.value());
  }
  void take(const ListingKey&, const ListingRecord&) {}
  void take(const ExtentKey&, const ExtentRecord& record) {
    ++facts_.extents_counted;
    facts_.references.add(record.chunk.value(), 1);
  }
  void take(const NamedKey&, const XattrRecord&) {}
  void take(ChunkId chunk, const ChunkRecord& record) {
    ++facts_.counted.chunks;
    facts_.counted.chunk_bytes += record.length;
    facts_.references.add(chunk.value(), -std::int64_t{record.references});
  }
  void take(ChunkId, const GarbageRecord&) { ++facts_.counted.garbage; }
  void take(InodeId, const OrphanRecord&) {}
  void take(GroupId group, const GroupRecord& record) { facts_.groups.emplace(group, record); }
  void take(const MissingKey&, const MissingRecord& record) {
    ++facts_.counted.missing;
    facts_.counted.missing_bytes += record.length;
  }
  void take(InodeId, const ConversionRecord& record) {
    ++facts_.counted.conversions;
    facts_.counted.conversion_bytes += record.bytes;
  }
  void take(InodeId, const WalkRecord&) { ++facts_.counted.walks; }
  void take(ChunkId, const TwinRecord&) {}
  void take(ServerId server, const ServerRecord&) { facts_.servers.insert(server); }
  void take(SessionId session, const SessionRecord&) { facts_.sessions.insert(session); }
  // One finding a session: R and S are few, and R comes before S.
  void take(const ReplyKey& key, const ReplyRecord&) {
    if (replying_.empty() || *replying_.rbegin() != key.session) replying_.insert(key.session);
  }
  void take(ClusterKey, const ClusterRecord& record) { facts_.cluster = record; }

  Result<void> check_ids() {
    if (!facts_.cluster)
      return sink_.found({.problem = Problem::unknown_row,
                          .text = "the row that says which cluster this is, and which ids come next, "
                                  "is missing"});
    const ClusterRecord& row = *facts_.cluster;
    const auto last = [](const auto& ids) { return ids.empty() ? 0 : ids.rbegin()->value(); };
    const std::uint64_t last_group = facts_.groups.empty() ? 0 : facts_.groups.rbegin()->first.value();
    TRY(check_next("inode", facts_.last_inode.value(), row.next_inode.value()));
    TRY(check_next("storage server", last(facts_.servers), row.next_server.value()));
    TRY(check_next("group", last_group, row.next_group.value()));
    return check_next("session", last(facts_.sessions), row.next_session.value());
  }
  Result<void> check_next(const char* what, std::uint64_t last, std::uint64_t next) {
    if (last < next) return {};
    return sink_.found({.problem = Problem::ids_given_again,
                        .text = fmt::format("the next {} would get number {}, but there is a {} with "
                                            "number {}",
                                            what, next, what, last),
                        .mendable = true,
                        .name = what,
                        .offset = last});
  }

  Result<void> check_replies() {
    if (!facts_.sessions_are_whole) return {};
    for (const SessionId session : replying_) {
      if (facts_.sessions.contains(session)) continue;
      TRY(sink_.found({.problem = Problem::reply_of_nobody,
                       .text = fmt::format("replies are kept for session {}, which has ended",
                                           session.value()),
                       .mendable = true,
                       .session = session}));
    }
    return {};
  }

  const KvSnapshot& snapshot_;
  FindingSink& sink_;
  RowFacts facts_;
  std::set<SessionId> replying_;
};

}  // namespace

Result<RowFacts> pass_rows(const KvSnapshot& snapshot, FindingSink& sink) {
  return RowPass(snapshot, sink).run();
}

}  // namespace dfs::fsck
