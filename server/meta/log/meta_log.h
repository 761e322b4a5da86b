// The seam through which all durable state of the metadata server changes:
// an ordered log of batches.
//
// A batch is committed as a whole or not at all, in the order of the calls of
// append(). Whatever a reply depends on has been appended before it leaves.
// LocalMetaLog is a KvStore's own write-ahead log; a replicated back end
// fits behind the same three promises:
//   append() returned   the batch survives the death of this process
//   sync() returned     everything appended before the call survives power loss
//   order               what power loss takes is a tail: never a batch without
//                       all those after it
#pragma once

#include "common/base/result.h"
#include "common/kv/kv_store.h"

namespace dfs {

// Threads: append() by one thread at a time; sync() by any, also during append().
class MetaLog {
 public:
  virtual ~MetaLog() = default;
  // Errors: nothing of the batch has happened.
  //   no_space  the disk is full
  //   io        the log is broken and takes no more batches
  virtual Result<void> append(const KvBatch& batch) = 0;
  virtual Result<void> sync() = 0;
};

class LocalMetaLog final : public MetaLog {
 public:
  // `store` must outlive the log and is written by nobody else.
  explicit LocalMetaLog(KvStore& store) : store_(store) {}
  Result<void> append(const KvBatch& batch) override {
    return store_.write(batch, KvDurability::process);
  }
  Result<void> sync() override { return store_.sync(); }

 private:
  KvStore& store_;
};

}  // namespace dfs
