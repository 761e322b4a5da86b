// Brings what is in files to the number of copies that the files are to have.
//
// Chunks never change, and the group in a chunk's id says where it is and in
// how many copies. So a chunk is converted by being copied under a new id, of
// a group of the right kind, and then the extents that name it are exchanged:
//
//   a row `V` names the file and how far it has been looked at
//   a window    some extents from there on, and the chunks among them that are
//               of the wrong kind
//   a copy      of such a chunk, made by all members of the new group at their
//               own pace (CopyTask::from)
//   exchange    once all copies of a window are on stable media: in one batch
//               the extents that still name the old chunks name the new ones,
//               and the row moves on
//
// What is committed meanwhile is seen: an extent that names something else by
// then is left alone. The old chunk is garbage once no file names it, other
// files included; who still reads it then asks for the extents again. Files
// that share a chunk and are both to be converted share its copy (rows `T`).
//
//   exchanged only if  every living member of the new group has it
//                 and  copies on stable media >= min(old number, new number)
//   the old one is deleted only once the exchange survives power loss
//
// Rows are durable; windows and copies under way are not: after a restart they
// are begun anew, and what was copied for nothing is reclaimed like any chunk
// that no file names.
//
// Threads: the core's; no locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/rpc/cluster_client.h"
#include "common/rpc/meta_api.h"
#include "server/meta/cluster/cluster.h"
#include "server/meta/ops/operation.h"
#include "server/meta/repair/copy_rate.h"

namespace dfs {

class Conversion {
 public:
  // Under way at once: some memory, and what a crash makes be copied again.
  static constexpr std::size_t kWindowsMax = 256;
  static constexpr std::size_t kCopiesMax = 2'048;
  static constexpr std::uint64_t kBytesMax = 1 * GiB;

  // Both must outlive the conversion.
  Conversion(const Clock& clock, Cluster& cluster) : clock_(clock), cluster_(cluster) {}

  // Exchanges what is ready and begins what there is room for; a few
  // milliseconds. Each file is an operation of its own in `txn`: one whose rows
  // do not hold waits, others go on. True: there is more at once.
  Result<bool> step(Transaction& txn, const OperationContext& context);
  // The batch of the last step was refused.
  void refused();

  // Adds what `server` should copy, as much as an answer may still say.
  void add_tasks(ServerId server, std::vector<CopyTask>& tasks) const;
  // What became of it. False: it is not about a copy that is made here.
  bool copied(ServerId server, ChunkId chunk);
  bool failed(ServerId server, const CopyFailure& failure);

  bool busy() const { return !copies_.empty(); }
  // `totals` say what is left.
  ConversionStatus status(const Totals& totals) const;
  std::vector<std::string> notes(const Totals& totals) const;

 private:
  // A chunk, and the number of copies that is wanted of it.
  using CopyKey = std::pair<ChunkId, std::uint32_t>;
  struct Copy {
    ChunkId made;
    std::uint32_t length = 0;
    bool is_twin = false;            // it is in use already
    std::set<ServerId> stable_on;
    std::map<ServerId, SteadyTime> not_before;
    std::size_t windows = 0;         // that wait for it
    std::size_t failures = 0;
    std::string trouble;
  };
  struct Window {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    std::uint64_t bytes = 0;         // of all extents in it
    std::uint32_t replicas = 0;
    bool is_last = false;
    std::set<ChunkId> wrong;
  };
  using Copies = std::map<CopyKey, Copy>;

  bool is_ready(const CopyKey& key, const Copy& copy) const;
  bool is_ready(const Window& window) const;
  bool is_hopeless(const Window& window) const;

  // --- beginning
  Result<bool> begin_some(Transaction& txn, const OperationContext& context);
  enum class Begun { waits, goes_on };
  Result<Begun> begin(Transaction& txn, const OperationContext& context, InodeId inode);
  Result<std::optional<Window>> next_window(Transaction& txn, InodeId inode);
  Result<void> find_copies(Transaction& txn, const Window& window);
  Result<bool> find_twin(Transaction& txn, const CopyKey& key);
  void forget_unused();
  void forget(Copies::iterator entry);

  // --- ending
  bool end_some(Transaction& txn, const OperationContext& context);
  Result<void> exchange(Transaction& txn, const OperationContext& context, InodeId inode,
                        const Window& window);
  Result<void> name_new_chunks(Transaction& txn, const OperationContext& context,
                               const Window& window, const std::set<ChunkId>& found);
  Result<void> drop(Transaction& txn, const OperationContext& context, const Window& window);
  void release(const Window& window);
  void put_off(InodeId inode, const std::string& why);
  bool is_put_off(InodeId inode) const;
  Result<bool> purge_twins(Transaction& txn, const Totals& totals);

  const Clock& clock_;
  Cluster& cluster_;
  std::map<InodeId, Window> windows_;
  Copies copies_;
  std::map<ChunkId, CopyKey> by_made_;
  std::uint64_t copying_bytes_ = 0;
  InodeId next_;                            // to be begun, of the rows
  std::map<InodeId, SteadyTime> put_off_;   // until when
  std::string put_off_because_;             // of one of them
  SteadyTime allocate_at_{};                // not before
  std::string stuck_;                       // why nothing can be begun
  bool may_have_twins_ = true;
  CopyRate rate_;
};

}  // namespace dfs
