// What is left of inodes whose last name was removed here: their attributes.
//
// A program may still have such an inode open or work in it, and expects to go
// on. Regular files are held at the server while they are open; directories,
// pipes, devices and what is open by O_PATH alone are not, which would cost a
// call with each opendir(2). So when the server does not know the inode any more,
// its attributes are answered from here, and what changes in them stays here.
//
// It may forget: an inode that is not here is stale.
//
// Bound: `inodes_max`; the one that was used least recently goes first. Nobody
// tells when the last program lets go, so most entries are of no use to anybody;
// but the programs that need one ask soon, and few do.
// Threads: any.
#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/rpc/meta_api.h"

namespace dfs {

class RemovedInodes {
 public:
  explicit RemovedInodes(std::size_t inodes_max) : inodes_max_(inodes_max) {}

  // It has lost its last name; `last` are its attributes after that.
  void add(const Attributes& last);
  // The server has it yet. Ignored if it is not here or if newer ones are.
  void learn(const Attributes& fresh);

  std::optional<Attributes> find(InodeId inode);
  // Does what the server's set_attr would, at `now`; empty if the inode is not
  // here, or if its size should change: there are no contents any more.
  std::optional<Attributes> change(const SetAttrArgs& args, const Caller& caller, WallNanos now);

  std::size_t size() const {
    return table_.with([](const Table& table) { return table.by_use.size(); });
  }

 private:
  struct Table {
    std::list<Attributes> by_use;  // the latest first
    std::unordered_map<InodeId, std::list<Attributes>::iterator> places;

    // Null if it is not here; used now.
    Attributes* use(InodeId inode);
  };

  const std::size_t inodes_max_;
  Guarded<Table> table_;
};

}  // namespace dfs
