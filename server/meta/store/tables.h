// The metadata tables: which key leads to which record.
//
//   const DirentRecord* entry = TRY(txn.find<tables::Dirents>({parent, name}));
//
// A table is a type with
//   Key, View   the key of a row, and the same borrowed (equal when there is nothing to borrow)
//   Record      what the row holds (records.h)
//   kPrefix     the letter its keys start with (keys.h)
//   kName       what messages call a row
//   kCached     rows live in the RecordCache, across transactions; such tables
//               cannot be scanned through a transaction
#pragma once

#include "common/kv/kv_store.h"
#include "server/meta/store/keys.h"
#include "server/meta/store/records.h"

namespace dfs {
namespace tables {

struct Inodes {
  using Key = InodeId;
  using View = InodeId;
  using Record = InodeRecord;
  static constexpr char kPrefix = 'I';
  static constexpr std::string_view kName = "inode";
  static constexpr bool kCached = true;
};
// parent, name -> inode
struct Dirents {
  using Key = NamedKey;
  using View = NamedView;
  using Record = DirentRecord;
  static constexpr char kPrefix = 'D';
  static constexpr std::string_view kName = "directory entry";
  static constexpr bool kCached = true;
};
// The same entries in the order of listings. Each Dirents row has exactly one
// Listing row {parent, its cookie}.
struct Listing {
  using Key = ListingKey;
  using View = ListingKey;
  using Record = ListingRecord;
  static constexpr char kPrefix = 'E';
  static constexpr std::string_view kName = "listing entry";
  static constexpr bool kCached = false;
};
// Extents of one file never overlap and end at or before its size.
struct Extents {
  using Key = ExtentKey;
  using View = ExtentKey;
  using Record = ExtentRecord;
  static constexpr char kPrefix = 'X';
  static constexpr std::string_view kName = "extent";
  static constexpr bool kCached = false;
};
struct Xattrs {
  using Key = NamedKey;
  using View = NamedView;
  using Record = XattrRecord;
  static constexpr char kPrefix = 'A';
  static constexpr std::string_view kName = "extended attribute";
  static constexpr bool kCached = false;
};
// Chunks that files use: references >= 1.
struct Chunks {
  using Key = ChunkId;
  using View = ChunkId;
  using Record = ChunkRecord;
  static constexpr char kPrefix = 'C';
  static constexpr std::string_view kName = "chunk";
  static constexpr bool kCached = false;
};
// Chunks that nothing uses any more and whose copies are to be deleted.
struct Garbage {
  using Key = ChunkId;
  using View = ChunkId;
  using Record = GarbageRecord;
  static constexpr char kPrefix = 'G';
  static constexpr std::string_view kName = "garbage chunk";
  static constexpr bool kCached = false;
};
// Inodes without a name whose contents are still there: held by a session, or
// waiting to be purged.
struct Orphans {
  using Key = InodeId;
  using View = InodeId;
  using Record = OrphanRecord;
  static constexpr char kPrefix = 'O';
  static constexpr std::string_view kName = "orphan";
  static constexpr bool kCached = false;
};
struct Groups {
  using Key = GroupId;
  using View = GroupId;
  using Record = GroupRecord;
  static constexpr char kPrefix = 'P';
  static constexpr std::string_view kName = "group";
  static constexpr bool kCached = false;
};
// Copies that a server lacks: the repair queue. A row may outlive its chunk;
// whoever repairs drops it when the Chunks row is gone.
struct Missing {
  using Key = MissingKey;
  using View = MissingKey;
  using Record = MissingRecord;
  static constexpr char kPrefix = 'M';
  static constexpr std::string_view kName = "missing copy";
  static constexpr bool kCached = false;
};
// Files whose chunks may have another number of copies than the file. A row
// may outlive its file.
struct Conversions {
  using Key = InodeId;
  using View = InodeId;
  using Record = ConversionRecord;
  static constexpr char kPrefix = 'V';
  static constexpr std::string_view kName = "conversion";
  static constexpr bool kCached = false;
};
// Directories in which files may have another number of copies than theirs. A
// row may outlive its directory.
struct Walks {
  using Key = InodeId;
  using View = InodeId;
  using Record = WalkRecord;
  static constexpr char kPrefix = 'W';
  static constexpr std::string_view kName = "walk";
  static constexpr bool kCached = false;
};
// Chunks that were copied for some of the files that share them. A row may
// outlive either chunk; ids never come again.
struct Twins {
  using Key = ChunkId;
  using View = ChunkId;
  using Record = TwinRecord;
  static constexpr char kPrefix = 'T';
  static constexpr std::string_view kName = "twin";
  static constexpr bool kCached = false;
};
struct Servers {
  using Key = ServerId;
  using View = ServerId;
  using Record = ServerRecord;
  static constexpr char kPrefix = 'N';
  static constexpr std::string_view kName = "server";
  static constexpr bool kCached = false;
};
struct Sessions {
  using Key = SessionId;
  using View = SessionId;
  using Record = SessionRecord;
  static constexpr char kPrefix = 'S';
  static constexpr std::string_view kName = "session";
  static constexpr bool kCached = false;
};
struct Replies {
  using Key = ReplyKey;
  using View = ReplyKey;
  using Record = ReplyRecord;
  static constexpr char kPrefix = 'R';
  static constexpr std::string_view kName = "reply";
  static constexpr bool kCached = false;
};
struct Cluster {
  using Key = ClusterKey;
  using View = ClusterKey;
  using Record = ClusterRecord;
  static constexpr char kPrefix = 'c';
  static constexpr std::string_view kName = "cluster";
  static constexpr bool kCached = false;
};

}  // namespace tables

// A row read by a scan.
template <typename Table>
struct Row {
  typename Table::Key key;
  typename Table::Record record;
};

// Replaces `raw` by the key in the store of the row `key`.
template <typename Table>
void raw_key(std::string& raw, typename Table::View key) {
  raw.assign(1, Table::kPrefix);
  keys::append(raw, key);
}

namespace detail {
Error row_is_corrupt(std::string_view table, std::string_view raw_key);
}  // namespace detail

// `corrupt`, naming the row, when the bytes are no such record.
template <typename Table>
Result<void> decode_row(std::string_view raw, std::string_view bytes,
                        typename Table::Record& record) {
  if (!decode(bytes, record)) return fail(detail::row_is_corrupt(Table::kName, raw));
  return {};
}
template <typename Table>
Result<void> parse_row_key(std::string_view raw, typename Table::Key& key) {
  if (raw.empty() || !keys::parse(raw.substr(1), key))
    return fail(detail::row_is_corrupt(Table::kName, raw));
  return {};
}

// Calls `visit(const Key&, Record&&) -> Result<void>` for every row of a table
// as the store has it, in key order; an error ends the scan and is returned.
// For starting up and for checks: no transaction is looked at.
template <typename Table, typename Visit>
Result<void> for_each_row(const KvStore& store, Visit&& visit) {
  const std::unique_ptr<KvCursor> cursor = store.cursor();
  const std::string_view prefix(&Table::kPrefix, 1);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix);
       cursor->next()) {
    typename Table::Key key;
    typename Table::Record record;
    TRY(parse_row_key<Table>(cursor->key(), key));
    TRY(decode_row<Table>(cursor->key(), cursor->value(), record));
    TRY(visit(static_cast<const typename Table::Key&>(key), std::move(record)));
  }
  return cursor->status();
}

}  // namespace dfs
