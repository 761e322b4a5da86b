// Pages of directory listings, as far as a lease on the directory says: which
// names follow a cookie, and where they lead. Attributes are not kept here.
//
// It may forget anything at any time. A page that was read before a change that
// was made here is refused: changed() says what the change's order was.
//
// Bound: `entries_max` entries in all; the directory that was used least recently
// goes first, and one that is larger than that begins anew. Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

#include "common/base/guarded.h"
#include "common/client/lease_gate.h"
#include "common/rpc/meta_api.h"

namespace dfs {

class ListingCache {
 public:
  using PagePtr = std::shared_ptr<const ReadDirResult>;

  // `gate` must outlive the cache.
  ListingCache(const LeaseGate& gate, std::size_t entries_max)
      : gate_(gate), entries_max_(entries_max) {}

  // What follows `cookie`, up to `page.entries.back()`.
  void learn(InodeId directory, std::uint64_t cookie, const ReadDirResult& page);
  // Null if it is not known, or not true for sure any more.
  PagePtr find(InodeId directory, std::uint64_t cookie);
  // Names were changed here; `order` came with the answer.
  void changed(InodeId directory, std::uint64_t order);

 private:
  struct Directory {
    std::map<std::uint64_t, PagePtr> pages;  // by the cookie that they follow
    std::uint64_t changed = 0;
    std::list<InodeId>::iterator place;
  };
  struct Table {
    std::unordered_map<InodeId, Directory> directories;
    std::list<InodeId> by_use;  // the latest first
    std::size_t entries = 0;
    std::uint64_t changed = 0;  // of directories that were forgotten

    Directory& use(InodeId inode);
    std::uint64_t changed_at(InodeId inode) const;
    void drop_pages(Directory& directory);
    void forget_oldest();
  };
  static std::size_t weight(const ReadDirResult& page) { return page.entries.size() + 1; }

  const LeaseGate& gate_;
  const std::size_t entries_max_;
  Guarded<Table> table_;
};

}  // namespace dfs
