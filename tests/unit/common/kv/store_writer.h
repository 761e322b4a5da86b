// A process of its own that writes to a RocksDB store and then waits to be
// killed. (A forked copy of the test would not do: RocksDB's threads are not
// copied with it.)
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <limits>
#include <string>

#include "common/base/unique_fd.h"

namespace dfs {

class StoreWriter {
 public:
  static constexpr int kAll = std::numeric_limits<int>::max();
  struct Orders {
    std::filesystem::path directory{};
    int writes = 0;        // keys 0 to writes-1, in order
    int value_bytes = 0;
    int logged = kAll;     // writes below this are `process`, others `none`
    int synced = 0;        // after each write below this comes a sync()
    int flushed = 0;       // flush() comes before this write
  };
  explicit StoreWriter(const Orders& orders);
  ~StoreWriter() { kill(); }
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  // False if any of it failed.
  bool wait_until_written();
  // kill -9, and gone when this returns. Idempotent.
  void kill();
  pid_t pid() const { return pid_; }

  static std::string key(int number);
  static std::string value(int number, int bytes);

 private:
  pid_t pid_ = -1;
  UniqueFd done_;
};

}  // namespace dfs
