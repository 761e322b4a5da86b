// A directory held open for listing, with the page of entries fetched last.
//
// Offsets the kernel sees: 0 is the start, 1 follows ".", 2 follows "..", and
// cookie + 2 follows the entry with that cookie. Cookies are stable, so a
// listing that goes on after names came or went neither repeats nor misses the
// others, also through telldir(3) and seekdir(3).
//
// A page is given out only while nothing was changed through this mount since
// it was fetched, and for the entry timeout at most: attributes in a listing
// become the kernel's own view of a file, and old ones would undo newer ones.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/base/ids.h"
#include "common/rpc/meta_api.h"

namespace dfs::fuse {

inline constexpr std::uint64_t kOffsetAfterDot = 1;
inline constexpr std::uint64_t kOffsetAfterDotDot = 2;

// Offsets are off_t in the kernel: a cookie this large has none.
inline constexpr std::uint64_t kCookieMax = (std::uint64_t{1} << 63) - 1 - kOffsetAfterDotDot;

// The entries that follow `after`, from `next` on not given out yet.
struct DirectoryPage {
  ReadDirResult listing;
  std::size_t next = 0;
  std::uint64_t after = 0;  // the cookie that entry `next` follows
  std::uint64_t changes = 0;
  SteadyTime fetched;
};

class DirectoryHandle {
 public:
  // With `keeps_access_time` listing it is no access.
  DirectoryHandle(InodeId inode, bool keeps_access_time)
      : inode_(inode), keeps_access_time_(keeps_access_time) {}

  InodeId inode() const { return inode_; }
  bool keeps_access_time() const { return keeps_access_time_; }

  // The kernel keeps what it is told through it.
  std::atomic<bool> is_cached = false;
  // It was told something, and has not asked for more since (listing_fills.h).
  std::atomic<bool> is_filling = false;

  // The page kept, if a listing that goes on after `cookie` continues in it.
  std::optional<DirectoryPage> take_page(std::uint64_t cookie) {
    std::optional<DirectoryPage> page =
        page_.with([](auto& kept) { return std::exchange(kept, std::nullopt); });
    if (page && page->after != cookie) page.reset();
    return page;
  }
  void keep_page(DirectoryPage page) {
    page_.with([&](auto& kept) { kept = std::move(page); });
  }

 private:
  const InodeId inode_;
  const bool keeps_access_time_;
  Guarded<std::optional<DirectoryPage>> page_;
};

}  // namespace dfs::fuse
