// Memory that outlives the process that writes it, cut into named parts.
//
// It is a file without a name (memfd), or one on a disk, whose descriptor somebody
// hands from one process to the next. What a process has stored is there for the
// one that follows, wherever the former was killed; what belongs together is for
// the owner of a part to order, by storing last what makes it count.
//
// Each part has an owner, who says what its layout is called by a number: a part
// that was written by a layout of another number is not looked at.
//
// Threads: part() from one; the bytes are for their owners to guard. One process
// at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs {

class LastingMemory {
 public:
  // A new one in memory. What is never touched takes no room.
  static Result<LastingMemory> create();
  // What the file is: new if it is empty.
  //   bad_message    it is something else
  //   wrong_version  it was made by a program that names parts otherwise
  static Result<LastingMemory> open(UniqueFd file);

  LastingMemory(LastingMemory&& other) noexcept;
  LastingMemory& operator=(LastingMemory&&) = delete;
  ~LastingMemory();

  struct Part {
    MutableBuffer bytes;  // page-aligned; zeros if it is new; while the memory lives
    bool is_new = true;
  };
  // The part with this name (at most 23 characters), which is made if it is not
  // there; at most 31 of them.
  //   wrong_version  it is there, of another layout or size
  //   no_space, no_memory
  Result<Part> part(std::string_view name, std::uint32_t layout, std::size_t bytes);

  int descriptor() const { return file_.get(); }

 private:
  struct Directory;

  LastingMemory(UniqueFd file, Directory* directory);
  Result<MutableBuffer> map(std::uint64_t offset, std::size_t bytes);

  UniqueFd file_;
  Directory* directory_ = nullptr;
  std::vector<MutableBuffer> mapped_;  // the directory first
};

}  // namespace dfs
