// What programs of a mount may call, and what Linux's FUSE client does with such
// a call before and after it asks: it keeps names, attributes and pages as long as
// it was told it may, and has its own rules about answers that come late.
//
//   names       an answer is kept under the epoch in which it was asked for;
//               forget_names() begins another one. A rename takes what is kept along.
//   attributes  an answer is not kept if they were forgotten since it was asked for
//   pages       are locked while they are read, and while the first bytes of them
//               are written; what is written is seen in them before the write is answered.
//               Forgetting waits for locked ones. What is written past them drops those
//               where it takes itself to go, before and afterwards
//   stale       a name that led to nothing is looked up once more
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/client/file_system.h"
#include "common/client/kernel_cache.h"

namespace dfs::sim {

inline constexpr std::uint64_t kPageBytes = 4096;

struct Place {
  InodeId directory;
  std::string name;
  friend auto operator<=>(const Place&, const Place&) = default;
};

class Kernel final : public KernelCache {
 public:
  enum class Caching { as_linux, none };  // none: each call asks
  // All must outlive it.
  Kernel(FileSystem& files, const Clock& clock, Caching caching) : files_(files), clock_(clock), caching_(caching) {}

  enum class Opening {
    cached,
    direct,     // O_DIRECT
    appending,  // O_APPEND: Linux is told to read and write past its pages
  };
  // Open until close().
  struct File {
    InodeId inode;
    OpenFilePtr file;
    Opening opening = Opening::cached;
  };

  // --- names ---
  // open(2) with O_CREAT and O_EXCL, and close(2).
  Result<InodeId> create(const Place& place);
  Result<void> unlink(const Place& place);
  Result<void> rename(const Place& from, const Place& to);
  Result<InodeId> lookup(const Place& place);
  Result<std::vector<std::string>> list(InodeId directory);
  Result<InodeId> make_directory(const Place& place);

  // --- contents ---
  Result<File> open(const Place& place, Opening opening);
  // What there is of [offset, offset + length).
  Result<std::string> read(const File& file, std::uint64_t offset, std::uint64_t length);
  Result<void> write(const File& file, std::uint64_t offset, const std::string& data);
  // Wherever the end is; the file has been opened for appending.
  Result<void> append(const File& file, const std::string& data);
  Result<void> fsync(const File& file) { return files_.fsync(*file.file, {}); }
  Result<void> close(const File& file);

  // --- KernelCache ---
  void forget_attributes(InodeId inode) override;
  void forget_names() override;
  void forget_pages(InodeId inode, const FileRange& range) override;
  void store(InodeId inode, std::uint64_t offset, BufferView bytes) override;

 private:
  // How long something is kept; empty: until it is forgotten.
  using Until = std::optional<SteadyTime>;
  struct Name {
    InodeId inode;  // 0: there is none
    std::uint64_t epoch = 0;
    Until until;
  };
  struct Page {
    std::string bytes;
    bool locked = false;
    bool filled = false;  // its bytes are those of the file
  };
  struct Inode {
    std::uint64_t size = 0;
    bool size_is_known = false;
    bool attributes_are_kept = false;
    Until attributes_until;
    std::uint64_t version = 0;  // of its attributes: answers to older questions are not kept
    std::map<std::uint64_t, Page> pages;  // by number
    std::mutex writing;                   // of whoever writes
  };

  bool is_over(const Until& until) const { return until && clock_.now() >= *until; }
  // False: it may not be kept.
  bool until_of(FileSystem::Keep keep, Until& until) const;
  Inode& inode_locked(InodeId inode);
  void keep_name(const Place& place, InodeId inode, std::uint64_t epoch);
  void keep_attributes(const Attributes& attributes, std::uint64_t version);
  std::uint64_t version_of(InodeId inode);
  std::uint64_t epoch();

  // 0: there is none.
  Result<InodeId> resolve(const Place& place);
  void drop_name(const Place& place);
  template <typename Call>
  auto with_stale_names_dropped(const std::vector<Place>& places, Call&& call);

  Result<std::uint64_t> size_of(const File& file, std::uint64_t wanted);
  Result<std::string> page_of(const File& file, std::uint64_t number);
  Result<std::string> ask(const File& file, std::uint64_t offset, std::uint64_t length);
  Result<void> write_through(const File& file, std::uint64_t offset, const std::string& data);
  // Puts the bytes into its pages; returns those that stay locked.
  std::vector<std::uint64_t> fill_pages(Inode& inode, std::uint64_t offset, const std::string& data);
  void pages_written(Inode& inode, std::uint64_t offset, const std::string& data,
                     const std::vector<std::uint64_t>& locked, bool succeeded);

  FileSystem& files_;
  const Clock& clock_;
  const Caching caching_;

  std::mutex changing_names_;  // as the lock of a directory is held over a change
  std::mutex mutex_;           // of all that follows; inodes stay where they are
  std::condition_variable unlocked_;
  std::uint64_t epoch_ = 0;
  std::map<Place, Name> names_;
  std::map<InodeId, std::unique_ptr<Inode>> inodes_;
};

}  // namespace dfs::sim
