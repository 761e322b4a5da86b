// The disk seam: everything the chunk store asks of a file system.
//
// PosixDisk (posix_disk.h) is the real one; FakeDisk (tests/support) fails on
// request and forgets what was not synced.
//
// Durability: what write(), punch() and truncate() changed survives power loss
// once sync() of the file has returned; a file's name once sync_directory() of
// its directory has. Before that any part of it may be there, page by page.
//
// Errors: those of the operating system as Errc; `io` and `read_only` mean
// that the disk is failing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace dfs::storage {

// What is punched and where records start: a file system's block.
inline constexpr std::uint64_t kDiskBlock = 4096;

// An open file. Threads: any; what overlaps is the caller's to order.
class DiskFile {
 public:
  virtual ~DiskFile() = default;

  // Writes `pieces` one after another from `offset` on, all of them. On error
  // any part may have been written.
  virtual Result<void> write(std::uint64_t offset, std::span<const BufferView> pieces) = 0;
  // Reads until `into` is full or the file ends; returns the bytes read.
  virtual Result<std::size_t> read(std::uint64_t offset, MutableBuffer into) const = 0;
  // The same from memory only: `again` if it would have to wait for the disk.
  virtual Result<std::size_t> read_cached(std::uint64_t offset, MutableBuffer into) const = 0;

  // Data, and what is needed to find it again, to stable media.
  virtual Result<void> sync() = 0;
  // Hints: begin writing or reading this range now, in the background.
  virtual void start_writeback(std::uint64_t offset, std::uint64_t length) = 0;
  virtual void will_read(std::uint64_t offset, std::uint64_t length) const = 0;

  // The range, whole blocks, reads as zeros and gives its space back; the
  // size stays.
  virtual Result<void> punch(std::uint64_t offset, std::uint64_t length) = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() const = 0;
  // The first offset from `offset` on that is not in a hole; size() if none.
  virtual Result<std::uint64_t> next_data(std::uint64_t offset) const = 0;
};

struct DiskSpace {
  std::uint64_t total = 0;
  std::uint64_t available = 0;  // to this process
};

// Threads: any. Files may outlive their Disk.
class Disk {
 public:
  virtual ~Disk() = default;

  // For reading and writing; `not_found` if it is not there.
  virtual Result<std::shared_ptr<DiskFile>> open(const std::filesystem::path& path) = 0;
  // A new empty file; `exists` if there is one.
  virtual Result<std::shared_ptr<DiskFile>> create(const std::filesystem::path& path) = 0;
  virtual Result<void> remove(const std::filesystem::path& path) = 0;
  // Replaces `to` if it is there.
  virtual Result<void> rename(const std::filesystem::path& from,
                              const std::filesystem::path& to) = 0;
  // With its parents; succeeds if it is there.
  virtual Result<void> make_directory(const std::filesystem::path& path) = 0;
  // The names in a directory, in no order.
  virtual Result<std::vector<std::string>> list(const std::filesystem::path& directory) = 0;
  virtual Result<void> sync_directory(const std::filesystem::path& directory) = 0;
  virtual Result<DiskSpace> space(const std::filesystem::path& directory) = 0;
};

}  // namespace dfs::storage
