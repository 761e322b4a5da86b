// A whole check, with mending: again and again until nothing more is mended.
//
// Mending one thing can show another (a file whose directory was lost gets a
// name, then its links are counted), so after a round in which something was
// mended the tables are checked anew. What cannot be mended is reported once.
//
// Threads: one, which should not be the core's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/kv/kv_store.h"
#include "server/meta/fsck/finding.h"

namespace dfs::fsck {

// Applies what mend() does as one batch. Errors: nothing of it has happened.
class Mender {
 public:
  virtual ~Mender() = default;
  virtual Result<std::optional<std::string>> mend(const Finding& finding) = 0;
};

// What people are told of one finding.
struct Report {
  std::string text;
  std::string mended{};      // what was done; empty: nothing
  std::string not_mended{};  // why that failed
  bool mendable = false;     // `--repair` would do something
};

class Listener {
 public:
  virtual ~Listener() = default;
  // Errors of both end the check, which returns them.
  virtual Result<void> report(Report report) = 0;
  virtual Result<void> passed(std::uint64_t rows) = 0;
};

struct Summary {
  std::uint64_t mended = 0;
  std::uint64_t left = 0;  // were found in the last round, and are as they were
};

// `mender` may be null: then nothing is changed. Errors: the store's, the
// listener's.
Result<Summary> check_in_rounds(const KvStore& store, Mender* mender, Listener& listener);

}  // namespace dfs::fsck
