#include "server/meta/repair/server_lists.h"

#include <algorithm>

#include "server/meta/ops/missing_copies.h"

namespace dfs {
namespace {

constexpr std::uint32_t kPart = 1'024;
// Between parts of an urgent list: a core that answers ten such servers still
// has four fifths of its time.
constexpr std::chrono::milliseconds kUrgentPause{50};

}  // namespace

void ServerLists::want_all(Haste haste) {
  haste_ = haste;
  wants_groups_ = true;
}

void ServerLists::want(GroupId group) {
  if (current_ && current_->group == group) return;
  if (!first_.insert(group).second) return;
  std::erase(waiting_, group);
  waiting_.push_front(group);
}

void ServerLists::told_groups(const std::vector<GroupId>& groups, SteadyTime now) {
  wants_groups_ = false;
  all_again_ = now + options_.interval;
  for (const GroupId group : groups) {
    if (current_ && current_->group == group) current_.reset();  // anew, with the others
    if (std::find(waiting_.begin(), waiting_.end(), group) == waiting_.end())
      waiting_.push_back(group);
  }
  not_before_ = now;
}

std::optional<ListTask> ServerLists::next(SteadyTime now, std::uint64_t table_version) {
  asked_.reset();
  if (!busy() && all_again_ && now >= *all_again_) want_all(Haste::calm);
  if (now < not_before_ || is_ahead()) return std::nullopt;
  if (!current_ && !begin_next(table_version)) return std::nullopt;
  asked_ = current_->position;
  return ListTask{current_->position, kPart, current_->named};
}

bool ServerLists::begin_next(std::uint64_t table_version) {
  if (waiting_.empty()) return false;
  const GroupId group = waiting_.front();
  waiting_.pop_front();
  const bool urgent = haste_ == Haste::urgent || first_.contains(group);
  current_ = Current{group, first_chunk_of(group), table_version, urgent};
  return true;
}

void ServerLists::checked(const ListFindings& findings, const ListedChunks& listed, SteadyTime now) {
  asked_.reset();
  if (!current_) return;
  ahead_ += findings.missing;
  if (findings.names_wanted) {
    current_->named = true;
    return;
  }
  const bool urgent = haste_ == Haste::urgent || first_.contains(current_->group);
  current_->named = urgent;
  not_before_ = now + (urgent ? kUrgentPause : options_.pause);
  current_->position = std::max(findings.checked_to, listed.first);
  if (current_->position < end_of_group(current_->group)) return;
  compared_[current_->group] = current_->table_version;
  first_.erase(current_->group);
  current_.reset();
  if (waiting_.empty()) haste_ = Haste::calm;
}

void ServerLists::start_over() {
  asked_.reset();
  current_.reset();
  waiting_.clear();
  first_.clear();
  compared_.clear();
  want_all(haste_);
}

bool ServerLists::has_compared(GroupId group, std::uint64_t table_version) const {
  const auto found = compared_.find(group);
  return found != compared_.end() && found->second >= table_version;
}

}  // namespace dfs
