// The part of RequestRunner that is about locks.
#include "server/meta/core/request_runner.h"

#include <utility>

namespace dfs {

bool is_about_locks(const MetaArgs& args) {
  return std::holds_alternative<SetLockArgs>(args) || std::holds_alternative<GetLockArgs>(args) ||
         std::holds_alternative<CancelLockArgs>(args);
}

Outcome RequestRunner::run_lock(Session& session, const CoreRequest& request) {
  if (const auto* set = std::get_if<SetLockArgs>(&request.args))
    return set_lock(session, request, *set);
  if (const auto* get = std::get_if<GetLockArgs>(&request.args))
    return get_lock(session, request, *get);
  state_.locks.cancel(session.id, std::get<CancelLockArgs>(request.args).ticket);
  return {EmptyResult{}};
}

Outcome RequestRunner::set_lock(Session& session, const CoreRequest& request,
                                const SetLockArgs& args) {
  Result<MetaResult> result = EmptyResult{};
  if (args.lock.kind != LockKind::unlocked) result = attributes_of(session.id, args.inode);
  if (!result) return {std::move(result)};
  const Result<LockDesk::Answer> done =
      state_.locks.set({session.id, session.sink, request.id}, args, grace());
  if (!done) return {fail(done.error())};
  if (*done == LockDesk::Answer::later) return {EmptyResult{}, Outcome::When::later};
  return {std::move(result)};
}

Outcome RequestRunner::get_lock(Session& session, const CoreRequest& request,
                                const GetLockArgs& args) {
  Result<std::optional<LockResult>> found =
      state_.locks.get({session.id, session.sink, request.id}, args, grace());
  if (!found) return {fail(std::move(found).error())};
  if (!*found) return {EmptyResult{}, Outcome::When::later};
  return {MetaResult(**std::move(found))};
}

LockDesk::Grace RequestRunner::grace() const {
  return state_.sessions.all_back() ? LockDesk::Grace::over : LockDesk::Grace::put_off;
}

void RequestRunner::refresh(const Session& session, Result<MetaResult>& result) {
  if (!result) return;
  if (const auto* told = std::get_if<AttributesResult>(&*result))
    result = attributes_of(session.id, told->attributes.inode);
}

std::vector<LateReply> RequestRunner::late_replies() {
  if (grace() == LockDesk::Grace::over) state_.locks.end_grace();
  std::vector<LateReply> replies;
  if (!state_.locks.has_due()) return replies;
  for (LockDesk::Due& due : state_.locks.take_due()) {
    LateReply& late = replies.emplace_back();
    late.sink = std::move(due.sink);
    late.reply.id = due.id;
    if (!due.result) {
      late.reply.result = fail(std::move(due.result).error());
    } else if (auto* found = std::get_if<LockResult>(&*due.result)) {
      late.reply.result = *found;
    } else {
      late.reply.result = attributes_of(due.session, std::get<InodeId>(*due.result));
    }
  }
  state_.txn.abandon();
  return replies;
}

// What was written under earlier locks shows in them, or that it may not do so yet.
Result<MetaResult> RequestRunner::attributes_of(SessionId session, InodeId inode) {
  MetaResult result =
      TRY(execute(state_.txn, state_.context(Caller{}, SessionId{}), GetAttrArgs{inode}));
  mark_provisional(session, std::get<AttributesResult>(result).attributes);
  return result;
}

}  // namespace dfs
