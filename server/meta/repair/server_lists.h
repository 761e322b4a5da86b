// Which part of a storage server's list of chunks is to be compared next.
//
// Everything is compared when a server has come, and once in a while to be
// sure; one group alone when the server has joined it. Urgent lists are gone
// through quickly and with their ids, the others with a pause after each part
// and by checksums. It is all in memory: after a restart of the metadata
// server the lists are compared anew.
//
// Threads: the core's; no locks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "common/base/clock.h"
#include "common/rpc/cluster_client.h"
#include "server/meta/repair/list_check.h"

namespace dfs {

struct ListOptions {
  std::chrono::nanoseconds pause = std::chrono::seconds{1};     // unless it is urgent
  std::chrono::nanoseconds interval = std::chrono::hours{24};   // between comparisons of everything
};

class ServerLists {
 public:
  enum class Haste { calm, urgent };

  explicit ServerLists(const ListOptions& options) : options_(options) {}

  // Everything, once the server has said of which groups it has chunks.
  void want_all(Haste haste);
  // This group, before others. Nothing if it is waited for already.
  void want(GroupId group);
  bool wants_groups() const { return wants_groups_; }
  // All of these, in this order.
  void told_groups(const std::vector<GroupId>& groups, SteadyTime now);

  // Nothing: not now. `table_version` is the newest.
  std::optional<ListTask> next(SteadyTime now, std::uint64_t table_version);
  // What came of it. Anything but an answer to the last task is ignored.
  bool expects(const ListedChunks& listed) const { return asked_ && *asked_ == listed.first; }
  void checked(const ListFindings& findings, const ListedChunks& listed, SteadyTime now);
  // What was found may not have been noted: everything anew.
  void start_over();

  // Whether all of the group has been compared since the table had this version.
  bool has_compared(GroupId group, std::uint64_t table_version) const;
  bool busy() const { return current_.has_value() || !waiting_.empty(); }
  bool urgent() const { return busy() && (haste_ == Haste::urgent || !first_.empty()); }
  std::size_t groups_left() const { return waiting_.size() + (current_ ? 1 : 0); }
  // Some hundred thousand chunks were noted as missing and not copied yet.
  bool is_ahead() const { return ahead_ >= kAheadMax; }
  void copied(std::size_t chunks) { ahead_ -= std::min(ahead_, chunks); }

 private:
  static constexpr std::size_t kAheadMax = 65'536;

  struct Current {
    GroupId group;
    ChunkId position;
    std::uint64_t table_version = 0;
    bool named = false;
  };
  bool begin_next(std::uint64_t table_version);

  const ListOptions options_;
  Haste haste_ = Haste::calm;
  bool wants_groups_ = false;
  std::set<GroupId> first_;        // of those waiting: the urgent ones
  std::deque<GroupId> waiting_;
  std::optional<Current> current_;
  std::optional<ChunkId> asked_;
  SteadyTime not_before_{};
  std::optional<SteadyTime> all_again_;
  std::map<GroupId, std::uint64_t> compared_;  // the table version when that began
  std::size_t ahead_ = 0;
};

}  // namespace dfs
