// The locks of the metadata double, and who waits for one.
//
// Threads: none of its own; whoever has it locks.
#pragma once

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "common/rpc/meta_api.h"
#include "server/meta/sessions/lock_table.h"

namespace dfs {

class FakeLocks {
 public:
  using Done = std::function<void(Result<MetaResult>)>;

  //   busy  it waits: wait() is to follow
  Result<void> set(SessionId session, const SetLockArgs& args) {
    const bool done = TRY(table_.set(session, args));
    if (!done) return fail(Errc::busy, "it waits");
    return {};
  }
  void wait(SessionId session, std::uint64_t ticket, Done later) {
    waits_[{session, ticket}] = std::move(later);
  }
  Result<MetaResult> in_the_way(SessionId session, const GetLockArgs& args) {
    return table_.in_the_way(session, args);
  }
  void cancel(SessionId session, std::uint64_t ticket) {
    if (!table_.cancel(session, ticket)) return;
    over_.push_back({std::move(waits_.extract({session, ticket}).mapped()),
                     fail(Errc::again, "given up")});
  }
  void release(SessionId session) {
    while (!table_.release_some(session)) {
    }
  }

  // A wait that is over: for a lock that was set, or by an error.
  struct Over {
    Done done;
    Result<InodeId> set;
  };
  std::vector<Over> take_over() {
    for (const LockTable::Settled& settled : table_.take_settled()) {
      auto wait = waits_.extract({settled.session, settled.ticket});
      if (!wait.empty()) over_.push_back({std::move(wait.mapped()), settled.inode});
    }
    return std::exchange(over_, {});
  }

  std::size_t locks() const { return table_.locks(); }
  std::size_t waits() const { return table_.waits(); }

 private:
  LockTable table_{{}};
  std::map<std::pair<SessionId, std::uint64_t>, Done> waits_;  // by ticket
  std::vector<Over> over_;
};

}  // namespace dfs
