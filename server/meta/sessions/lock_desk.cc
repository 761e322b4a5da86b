#include "server/meta/sessions/lock_desk.h"

#include <algorithm>
#include <utility>

namespace dfs {

LockDesk::LockDesk(LockLimits limits)
    : limits_(limits),
      table_(limits),
      locks_gauge_(metrics().gauge("dfs_meta_locks", "Ranges of files that are locked.")),
      waits_gauge_(metrics().gauge("dfs_meta_lock_waits", "Requests that wait for a lock.")),
      deadlocks_(metrics().counter("dfs_meta_lock_deadlocks_total",
                                   "Waits for a lock that would have lasted for ever.")) {}

Result<LockDesk::Answer> LockDesk::set(const Asker& asker, const SetLockArgs& args, Grace grace) {
  if (grace == Grace::put_off && !table_.only_weakens(asker.session, args.inode, args.lock)) {
    TRY(put_off(asker, args));
    return Answer::later;
  }
  const Result<bool> done = table_.set(asker.session, args);
  if (done && !*done) waiting_[asker.session].emplace(args.ticket, asker);
  answer_settled();
  if (!done) {
    if (done.error().code == Errc::deadlock) deadlocks_.add();
    return fail(done.error());
  }
  return *done ? Answer::now : Answer::later;
}

Result<std::optional<LockResult>> LockDesk::get(const Asker& asker, const GetLockArgs& args,
                                                Grace grace) {
  if (grace == Grace::put_off) {
    TRY(put_off(asker, args));
    return std::optional<LockResult>{};
  }
  return std::optional(table_.in_the_way(asker.session, args));
}

void LockDesk::cancel(SessionId session, std::uint64_t ticket) {
  const auto given_up = [] { return fail(Errc::again, "the wait for the lock was given up"); };
  if (table_.cancel(session, ticket)) {
    const auto asker = waiting_.at(session).extract(ticket);
    answer(asker.mapped(), given_up());
    return;
  }
  std::erase_if(put_off_, [&](const PutOff& request) {
    const auto* set = std::get_if<SetLockArgs>(&request.args);
    if (set == nullptr || set->ticket != ticket || request.asker.session != session) return false;
    answer(request.asker, given_up());
    return true;
  });
}

std::size_t LockDesk::came(SessionId session, const std::vector<HeldLock>& locks) {
  went(session);
  const std::size_t refused = table_.replace(session, locks);
  answer_settled();
  return refused;
}

void LockDesk::went(SessionId session) {
  table_.drop_waits(session);
  waiting_.erase(session);
  std::erase_if(put_off_, [&](const PutOff& request) { return request.asker.session == session; });
}

bool LockDesk::release_some(SessionId session) {
  went(session);
  const bool done = table_.release_some(session);
  answer_settled();
  return done;
}

void LockDesk::end_grace() {
  if (put_off_.empty()) return;
  for (const PutOff& request : std::exchange(put_off_, {})) {
    const Asker& asker = request.asker;
    if (const auto* wanted = std::get_if<GetLockArgs>(&request.args)) {
      answer(asker, table_.in_the_way(asker.session, *wanted));
      continue;
    }
    const auto& args = std::get<SetLockArgs>(request.args);
    const Result<Answer> done = set(asker, args, Grace::over);
    if (!done) answer(asker, fail(done.error()));
    if (done && *done == Answer::now) answer(asker, args.inode);
  }
}

void LockDesk::show_counts() {
  locks_gauge_.set(static_cast<double>(table_.locks()));
  waits_gauge_.set(static_cast<double>(waits()));
}

Result<void> LockDesk::put_off(const Asker& asker, std::variant<SetLockArgs, GetLockArgs> args) {
  const auto of_session = [&](const PutOff& request) {
    return request.asker.session == asker.session;
  };
  const auto count = std::count_if(put_off_.begin(), put_off_.end(), of_session);
  if (static_cast<std::size_t>(count) >= limits_.waits_per_session_max)
    return fail(Errc::no_locks, "too many programs of the session wait for locks");
  put_off_.push_back({asker, std::move(args)});
  return {};
}

void LockDesk::answer(Asker asker, Result<std::variant<InodeId, LockResult>> result) {
  due_.push_back({asker.session, std::move(asker.sink), asker.id, std::move(result)});
}

void LockDesk::answer_settled() {
  for (LockTable::Settled& settled : table_.take_settled()) {
    auto asker = waiting_.at(settled.session).extract(settled.ticket);
    if (settled.result)
      answer(std::move(asker.mapped()), settled.inode);
    else
      answer(std::move(asker.mapped()), fail(std::move(settled.result).error()));
  }
}

}  // namespace dfs
