#include "common/client/listing_cache.h"

#include <algorithm>
#include <utility>

namespace dfs {

ListingCache::Directory& ListingCache::Table::use(InodeId inode) {
  const auto [found, is_new] = directories.try_emplace(inode);
  Directory& directory = found->second;
  if (is_new) {
    by_use.push_front(inode);
    directory.place = by_use.begin();
    directory.changed = changed;
  } else {
    by_use.splice(by_use.begin(), by_use, directory.place);
  }
  return directory;
}

std::uint64_t ListingCache::Table::changed_at(InodeId inode) const {
  const auto found = directories.find(inode);
  return found == directories.end() ? changed : found->second.changed;
}

void ListingCache::Table::drop_pages(Directory& directory) {
  for (const auto& [cookie, page] : directory.pages) entries -= weight(*page);
  directory.pages.clear();
}

void ListingCache::Table::forget_oldest() {
  const auto oldest = directories.find(by_use.back());
  drop_pages(oldest->second);
  changed = std::max(changed, oldest->second.changed);
  directories.erase(oldest);
  by_use.pop_back();
}

void ListingCache::learn(InodeId inode, std::uint64_t cookie, const ReadDirResult& page) {
  if (page.lease_order == 0 || weight(page) > entries_max_ / 4) return;
  auto kept = std::make_shared<ReadDirResult>(page);
  table_.with([&](Table& table) {
    if (page.lease_order <= table.changed_at(inode)) return;
    // At least one goes for each that comes: directories without pages are bounded too.
    const auto is_full = [&] {
      return table.entries + table.directories.size() + weight(page) >= entries_max_;
    };
    Directory& directory = table.use(inode);
    while (is_full() && table.by_use.size() > 1) table.forget_oldest();
    if (is_full()) table.drop_pages(directory);
    PagePtr& place = directory.pages[cookie];
    if (place != nullptr) table.entries -= weight(*place);
    place = std::move(kept);
    table.entries += weight(page);
  });
}

ListingCache::PagePtr ListingCache::find(InodeId inode, std::uint64_t cookie) {
  PagePtr page = table_.with([&](Table& table) -> PagePtr {
    if (!table.directories.contains(inode)) return nullptr;
    Directory& directory = table.use(inode);
    const auto found = directory.pages.find(cookie);
    return found == directory.pages.end() ? nullptr : found->second;
  });
  if (page == nullptr || !gate_.holds(inode, page->lease_order)) return nullptr;
  return page;
}

void ListingCache::changed(InodeId inode, std::uint64_t order) {
  table_.with([&](Table& table) {
    const auto found = table.directories.find(inode);
    if (found == table.directories.end()) {
      // Whatever is being read right now was read before, or is of a later order.
      table.changed = std::max(table.changed, order);
      return;
    }
    table.drop_pages(found->second);
    found->second.changed = std::max(found->second.changed, order);
  });
}

}  // namespace dfs
