// One of the two directories that a run works on, with its open descriptors.
//
// The reference is a local file system that is believed. Both sides get the
// same calls, with two exceptions, where the reference would only be slow or
// strict: it is opened without O_DIRECT (which is about caches; ext4 wants
// aligned buffers, dfs does not) and its fsync is not carried out (nobody
// pulls its plug).
//
// Threads: one. Ownership: closes what is open; the files stay.
#pragma once

#include <array>
#include <filesystem>
#include <string>

#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "tests/model/operation.h"

namespace dfs::model {

class Side {
 public:
  enum class Role { reference, mount };

  // `directory` is made if it does not exist.
  static Result<Side> open(Role role, std::filesystem::path directory);

  bool is_reference() const { return role_ == Role::reference; }
  const char* name() const { return is_reference() ? "reference" : "mount"; }
  int root() const { return root_.get(); }
  // A path below the directory, for calls that take no descriptor.
  std::string path(const std::string& relative) const { return (directory_ / relative).string(); }

  // The open slot that `wanted` stands for: itself, or the next that is open.
  // nullopt if none is.
  std::optional<std::size_t> open_slot(std::size_t wanted) const;
  // The descriptor of open_slot(wanted), -1 if there is none.
  int descriptor(std::size_t wanted) const;
  // What stands in exactly this slot; -1 if nothing does.
  int slot(std::size_t number) const { return slots_[number].get(); }
  void put(std::size_t number, UniqueFd fd) { slots_[number] = std::move(fd); }
  UniqueFd take(std::size_t number) { return std::move(slots_[number]); }

 private:
  Side(Role role, std::filesystem::path directory, UniqueFd root)
      : role_(role), directory_(std::move(directory)), root_(std::move(root)) {}

  Role role_;
  std::filesystem::path directory_;
  UniqueFd root_;
  std::array<UniqueFd, kSlots> slots_;
};

// The outcome of a system call that returned `value`; takes errno if it is -1.
Outcome answered(std::int64_t value);
// An outcome that says that a rule of `side` was broken.
Outcome complain(std::string complaint);

// True if the descriptor is a regular file.
bool is_regular(int fd);
// All bytes of a file from `offset` on, `length` at most; fewer at its end or at an error (value -1).
Outcome read_fully(int fd, std::uint64_t offset, std::uint64_t length);

}  // namespace dfs::model
