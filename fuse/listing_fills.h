// Listings on their way into the kernel's cache. The kernel puts there what READDIR was
// answered in the thread of the program that asked: after the answer, and perhaps after
// it was told to forget the listing, or another program has opened the directory anew.
// Only when that program asks for more, or closes the directory, is it certain to be done.
//
// So while a directory is filled from before, who opens it anew must not use the cache,
// and the first one after that forgets what is there.
//
// Bound: kDirectoriesMax; beyond that nothing is cached any more.
// Threads: any.
#pragma once

#include <cstddef>
#include <unordered_map>

#include "common/base/guarded.h"
#include "common/base/ids.h"
#include "common/client/file_system.h"

namespace dfs::fuse {

class ListingFills {
 public:
  static constexpr std::size_t kDirectoriesMax = 65'536;

  // Before an answer with entries, and when whoever got it has put them away.
  void begin(InodeId directory) {
    table_.with([&](Table& table) { ++table.directories[directory].fills; });
  }
  void end(InodeId directory) {
    table_.with([&](Table& table) {
      const auto at = table.directories.find(directory);
      if (--at->second.fills == 0 && !at->second.is_doubtful) table.directories.erase(at);
    });
  }

  // What is true of the cache for somebody who opens the directory; `opened`: what the
  // engine says.
  OpenedDirectory opened(InodeId directory, OpenedDirectory opened) {
    return table_.with([&](Table& table) -> OpenedDirectory {
      if (table.is_full || !opened.may_keep) return {};
      const auto at = table.directories.find(directory);
      if (at == table.directories.end()) return opened;
      if (opened.is_kept && !at->second.is_doubtful) return opened;
      if (at->second.fills == 0) {
        table.directories.erase(at);
        return {.may_keep = true, .is_kept = false};
      }
      at->second.is_doubtful = true;
      table.is_full = table.directories.size() > kDirectoriesMax;
      return {};
    });
  }

 private:
  struct Directory {
    std::size_t fills = 0;
    bool is_doubtful = false;  // something older may get there, or has
  };
  struct Table {
    std::unordered_map<InodeId, Directory> directories;
    bool is_full = false;
  };
  Guarded<Table> table_;
};

}  // namespace dfs::fuse
