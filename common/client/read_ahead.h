// Decides what to fetch ahead of the readers of one open file.
//
// It follows several sequential readers at once. One that goes on where it
// stopped gets a window ahead of it, which doubles each time the reader comes
// near its end; a reader that starts at offset 0 is taken for sequential at
// once. Random reads get nothing. Pure; not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/base/ids.h"
#include "common/rpc/meta_api.h"

namespace dfs {

class ReadAhead {
 public:
  static constexpr std::uint64_t kFirstWindow = 1 * MiB;
  // Requests of one reader may arrive out of order by this much: the kernel
  // sends several at once.
  static constexpr std::uint64_t kSlack = 1 * MiB;

  explicit ReadAhead(std::uint64_t window_max) : window_max_(window_max) {}

  // A reader asks for [offset, offset + length) of a file of `size` bytes.
  // Returns what to fetch now behind that; of length 0 if nothing. No byte of
  // one stream is named twice.
  FileRange on_read(std::uint64_t offset, std::uint64_t length, std::uint64_t size);

 private:
  struct Stream {
    std::uint64_t next = 0;       // where its reader will go on
    std::uint64_t ahead_end = 0;  // fetched or being fetched up to here
    std::uint64_t window = 0;     // 0: not known to be sequential
    std::uint64_t used_at = 0;    // for choosing the one to replace
  };
  Stream* find(std::uint64_t offset, std::uint64_t end);
  Stream& replace_oldest();

  const std::uint64_t window_max_;
  std::array<Stream, 8> streams_{};
  std::uint64_t reads_ = 0;
};

}  // namespace dfs
