// What each page of each file may hold: what was written last, and where it is not
// sure that this got through, whatever was written since the last successful fsync.
//
// A page that is written holds one number, again and again, of the file, the page and
// the write: nothing else makes such bytes.
//
//   certain     a page after a write has returned: what that wrote, for everybody
//   safe        a page once fsync has succeeded: the same, whatever happens
//   in doubt    during a write, and after an error or the end of the mount, of its
//               session or of the metadata server's power: any of what was written since
//               it was safe, or what it held then
//
// Threads: any; each file is written by one program at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/guarded.h"

namespace dfs::sim {

class FileBook {
 public:
  static constexpr std::uint64_t kPageBytes = 16 << 10;
  static constexpr std::size_t kPages = 24;
  // Of a write; 0 is a hole.
  using Version = std::uint32_t;

  static std::vector<std::byte> bytes_of(const std::string& file, std::size_t page, std::size_t pages,
                                         Version version);

  // A write of pages [page, page + pages) begins; the version is new.
  Version begin_write(const std::string& file, std::size_t page, std::size_t pages);
  // It was answered: the pages hold that.
  void end_write(const std::string& file, std::size_t page, std::size_t pages, Version version);
  // What was written since the file was safe may or may not be there.
  void doubt(const std::string& file);
  void doubt_all();
  // What is buffered may be lost from now on, with an error that fsync would tell:
  // then nothing is certain but what is safe.
  void expect_losses() { losses_ = true; }
  // All that was written before is there for good, and so is the name.
  void safe(const std::string& file);
  // Nothing was written to the page since the last fsync that succeeded.
  bool is_safe(const std::string& file, std::size_t page) const;
  // Some fsync of the file has succeeded.
  bool is_named(const std::string& file) const;
  std::vector<std::string> files() const;

  // What a page may hold, now or at a moment between this and check().
  struct Allowed {
    std::vector<std::set<Version>> pages;
    Version last = 0;  // what is written later may be there and gone again by check()
  };
  Allowed allowed(const std::string& file) const;
  // Empty: the bytes, which begin with `page`, may be what was read between
  // allowed() and now. Beyond their end the file ends. Else what is wrong.
  std::string check(const std::string& file, std::size_t page, std::size_t pages, BufferView bytes,
                    const Allowed& before) const;

 private:
  struct Page {
    std::set<Version> may_hold{0};
    std::optional<Version> holds = 0;  // empty: in doubt
  };
  struct File {
    std::vector<Page> pages = std::vector<Page>(kPages);
    Version last = 0;
    bool named = false;
  };
  using Files = std::map<std::string, File>;

  Guarded<Files> files_;
  std::atomic<bool> losses_{false};
};

}  // namespace dfs::sim
