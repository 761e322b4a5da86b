// Directory listings that a kernel has kept, and whether they are true still.
//
// It keeps what it is told from one opening of the directory that forgot what was
// there before. That is true as long as all of it was told under one lease on the
// directory, which is there without a break since then: others cannot have changed
// a name. Names that are changed through the same kernel it knows about itself.
//
// It may forget anything at any time: then the listing is told again.
// Bound: `directories_max`. Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "common/base/guarded.h"
#include "common/client/lease_gate.h"

namespace dfs {

class ShownListings {
 public:
  // `gate` must outlive this.
  ShownListings(const LeaseGate& gate, std::size_t directories_max)
      : gate_(gate), directories_max_(directories_max) {}

  // The directory is opened. True: what the kernel keeps is true still. Else it is
  // to forget that, and to keep what is told from now on.
  bool opened(InodeId directory);
  // As opened() when it has not been kept.
  void forgotten(InodeId directory);
  // A part of the listing is told; it came with the grant `order`.
  void told(InodeId directory, std::uint64_t order);

 private:
  struct Shown {
    std::uint64_t since = 0;  // the grant that the lease began with; 0: nothing is told yet
    bool broken = false;      // not all of it was told under that lease
  };
  using Table = std::unordered_map<InodeId, Shown>;

  Shown& begin_anew(Table& table, InodeId directory) const;

  const LeaseGate& gate_;
  const std::size_t directories_max_;
  Guarded<Table> table_;
};

}  // namespace dfs
