#include "server/meta/core/request_runner.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "common/base/log.h"
#include "common/base/process.h"
#include "server/meta/core/reply_codec.h"

namespace dfs {
namespace {

constexpr std::size_t kPrunedAtOnceMax = 2'048;
constexpr auto kReportLogInterval = std::chrono::seconds{1};

// In the order of MetaArgs.
constexpr std::array kKinds = {
    "lookup",      "get_attr",  "set_attr",  "create",     "symlink",       "readlink",  "link",
    "unlink",      "rename",    "read_dir",  "stat_fs",    "set_xattr",     "get_xattr", "list_xattr",
    "remove_xattr", "open",     "release",   "get_extents", "commit",       "allocate",  "sync",
    "cluster_status", "keep_alive", "report", "set_policy",
    "get_policy",  "clone",      "set_lock",  "get_lock",   "cancel_lock", "touch",
    "acquire_lease", "return_leases", "hold", "drain_server"};
static_assert(kKinds.size() == std::variant_size_v<MetaArgs>);

Outcome::When answer_when(const MetaArgs& args) {
  const auto* commit = std::get_if<CommitArgs>(&args);
  const bool wants_sync = commit != nullptr ? commit->sync : std::holds_alternative<SyncArgs>(args);
  // Ids of chunks that power loss takes back would be given again, while there are
  // bytes under them already.
  return wants_sync || std::holds_alternative<AllocateArgs>(args) ? Outcome::When::stable : Outcome::When::committed;
}

// Whether execute() runs it.
bool is_operation(const MetaArgs& args) {
  return std::visit(
      [](const auto& op) {
        using Op = std::decay_t<decltype(op)>;
        return !(std::is_same_v<Op, ReleaseArgs> || std::is_same_v<Op, AllocateArgs> ||
                 std::is_same_v<Op, SyncArgs> || std::is_same_v<Op, KeepAliveArgs> ||
                 std::is_same_v<Op, StatFsArgs> || std::is_same_v<Op, ClusterStatusArgs> ||
                 std::is_same_v<Op, ReportArgs> || std::is_same_v<Op, ReturnLeasesArgs> ||
                 std::is_same_v<Op, HoldArgs> || std::is_same_v<Op, DrainServerArgs>);
      },
      args);
}

bool opens(const MetaArgs& args) {
  if (const auto* create = std::get_if<CreateArgs>(&args)) return create->open;
  return std::holds_alternative<OpenArgs>(args);
}

}  // namespace

RequestRunner::RequestRunner(CoreState& state)
    : state_(state),
      repeats_(metrics().counter("dfs_meta_repeats_total",
                                 "Mutations answered from the stored reply.")),
      reports_(metrics().counter("dfs_meta_reports_total", "Problems that clients reported.")) {
  for (const char* kind : kKinds)
    requests_.push_back(&metrics().counter("dfs_meta_requests_total", "Requests of sessions.",
                                           {{"kind", kind}}));
}

Outcome RequestRunner::run(Session& session, CoreRequest& request) {
  if (request.place == 0) requests_[request.args.index()]->add();
  state_.sessions.set_current(&session);
  Outcome outcome = run_once(session, request);
  if (request.place != 0 && outcome.when != Outcome::When::later) state_.leases.served(request);
  return outcome;
}

Outcome RequestRunner::run_once(Session& session, CoreRequest& request) {
  if (is_mutation(request.args)) return run_mutation(session, request);
  if (is_about_locks(request.args)) return run_lock(session, request);
  if (!is_operation(request.args)) return {serve(session, request), answer_when(request.args)};
  Outcome outcome = run_operation(session, request);
  if (outcome.result && outcome.when != Outcome::When::later)
    outcome.lease_order = grant(session, request, *outcome.result);
  return outcome;
}

Outcome RequestRunner::run_mutation(Session& session, CoreRequest& request) {
  if (request.sequence == Sequence{})
    return {fail(Errc::bad_message, "a mutation without a sequence number")};
  if (session.replies.contains(request.sequence)) {
    repeats_.add();
    return {.result = repeat(session, request),
            .when = answer_when(request.args),
            .change = session.replies.change_of(request.sequence)};
  }
  if (request.sequence <= session.replies.answered_through())
    return {fail(Errc::bad_message, "a mutation comes again whose answer was acknowledged")};
  if (session.replies.size() >= kRepliesKeptMax) prune_replies(session);
  if (session.replies.size() >= kRepliesKeptMax)
    return {fail(Errc::overloaded, "too many answers are not acknowledged")};

  Outcome outcome = run_operation(session, request);
  // A failed one left nothing, so its repeat may as well run anew.
  if (!outcome.result || outcome.when == Outcome::When::later) return outcome;
  outcome.change = session.replies.changes() + 1;
  // Without the leases: they are gone by the time of a repeat.
  state_.txn.put<tables::Replies>({session.id, request.sequence},
                                  {encode_reply(*outcome.result, outcome.change)});
  state_.sessions.reply_stored(session, request.sequence, outcome.change);
  outcome.lease_order = grant(session, request, *outcome.result);
  return outcome;
}

Result<MetaResult> RequestRunner::repeat(Session& session, const CoreRequest& request) {
  const ReplyRecord* kept =
      TRY(state_.txn.find<tables::Replies>(ReplyKey{session.id, request.sequence}));
  if (kept == nullptr) return fail(Errc::internal, "a reply that was stored is gone");
  MetaResult result = TRY(decode_reply(kept->bytes));
  // The session did not know that it held this when it came back.
  if (const auto* opened = std::get_if<OpenResult>(&result); opened != nullptr && opens(request.args))
    state_.sessions.hold(session, opened->attributes.inode);
  return result;
}

Outcome RequestRunner::run_operation(Session& session, CoreRequest& request) {
  const bool holds = opens(request.args);
  if (holds)
    if (Result<void> may = state_.sessions.check_may_hold(session); !may)
      return {fail(std::move(may).error())};
  note_wish(session, request);
  const OperationContext context = state_.context(request.caller, session.id);
  const OperationMark mark = mark_operation(context);
  Result<MetaResult> result = execute(state_.txn, context, request.args);
  if (result && has_to_wait(session, request.args, *result)) {
    undo_operation(state_.txn, context, mark);
    return wait(session, request);
  }
  if (holds && result)
    if (const auto* opened = std::get_if<OpenResult>(&*result))
      state_.sessions.hold(session, opened->attributes.inode);
  return {std::move(result), answer_when(request.args)};
}

Result<MetaResult> RequestRunner::serve(Session& session, const CoreRequest& request) {
  const MetaArgs& args = request.args;
  if (const auto* release = std::get_if<ReleaseArgs>(&args)) {
    state_.sessions.release(session, release->inode, release->count);
    return EmptyResult{};
  }
  if (const auto* wanted = std::get_if<AllocateArgs>(&args))
    return allocate(session, request, *wanted);
  if (std::holds_alternative<SyncArgs>(args)) return EmptyResult{};
  if (const auto* alive = std::get_if<KeepAliveArgs>(&args)) {
    session.unsent = alive->unsent;
    return EmptyResult{};
  }
  if (std::holds_alternative<StatFsArgs>(args)) {
    const Policy policy = TRY(
        effective_policy(state_.txn, state_.context(request.caller, session.id), kRootInode));
    StatFsResult space = state_.cluster.space(policy.replicas);
    space.inodes_used = state_.row.totals().inodes;
    return space;
  }
  if (std::holds_alternative<ClusterStatusArgs>(args)) return cluster_status();
  if (const auto* problem = std::get_if<ReportArgs>(&args)) {
    report(session, *problem);
    state_.txn.begin_operation();
    TRY(state_.repair.reported(state_.txn, problem->server, problem->chunk));
    return EmptyResult{};
  }
  if (const auto* wish = std::get_if<DrainServerArgs>(&args)) return drain(request, *wish);
  if (const auto* returned = std::get_if<ReturnLeasesArgs>(&args))
    return return_leases(session, *returned);
  return hold(session, std::get<HoldArgs>(args));
}

Result<MetaResult> RequestRunner::allocate(Session& session, const CoreRequest& request,
                                           const AllocateArgs& args) {
  TRY(state_.room.check());
  state_.txn.begin_operation();
  const Policy policy = TRY(effective_policy(
      state_.txn, state_.context(request.caller, session.id), args.inode));
  return TRY(state_.cluster.allocate(state_.txn, policy, args));
}

Result<MetaResult> RequestRunner::drain(const CoreRequest& request, const DrainServerArgs& args) {
  if (request.caller.uid != 0)
    return fail(Errc::not_permitted, "only root may drain storage servers");
  state_.txn.begin_operation();
  TRY(state_.cluster.set_draining(state_.txn, args.server, args.drain));
  log_info("core", "storage server {} is {}", args.server.value(),
           args.drain ? "to be drained" : "not drained any more");
  return EmptyResult{};
}

ClusterStatusResult RequestRunner::cluster_status() const {
  const ClusterRecord& record = state_.row.record();
  const Totals& totals = state_.row.totals();
  ClusterStatusResult status;
  status.cluster = record.cluster;
  status.version = version();
  status.started = state_.started;
  status.group_table = state_.cluster.current();
  for (const auto& [id, session] : state_.sessions.all()) {
    if (session->ending) continue;
    status.sessions.push_back({id, session->record.program, session->record.host,
                               session->record.place, session->record.process,
                               session->held.size(), session->record.since,
                               session->sink != nullptr, state_.leases.table().count(id),
                               session->unsent});
  }
  status.inodes = totals.inodes;
  status.chunk_bytes = totals.chunk_bytes;
  status.chunks = totals.chunks;
  status.garbage_chunks = totals.garbage;
  status.repair_queue = totals.missing;
  status.replicas = record.replicas;
  status.chunk_size = record.chunk_size;
  status.evictions.assign(state_.evictions.latest().begin(), state_.evictions.latest().end());
  status.contended_inodes = state_.leases.contended();
  status.repair = state_.repair.status();
  return status;
}

void RequestRunner::report(const Session& session, const ReportArgs& args) {
  reports_.add();
  // A failing disk makes thousands of these; the counter has them all.
  const SteadyTime now = state_.clock.now();
  if (now - last_report_logged_ < kReportLogInterval) return;
  last_report_logged_ = now;
  log_warn("core", "{} on {} reports chunk {} on storage server {}: {}", session.record.program,
           session.record.host, to_string(args.chunk), args.server.value(),
           args.problem.to_string());
}

void RequestRunner::prune_replies(Session& session) {
  for (const Sequence sequence : session.replies.acknowledged(kPrunedAtOnceMax)) {
    state_.txn.erase<tables::Replies>({session.id, sequence});
    state_.sessions.reply_erased(session, sequence);
  }
}

}  // namespace dfs
