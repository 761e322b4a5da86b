#include "server/meta/sessions/session_jobs.h"

#include <utility>

#include <fmt/format.h>

#include "common/base/log.h"
#include "server/meta/core/reply_codec.h"

namespace dfs {
namespace {

constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kPlaceBytesMax = 4'096;
constexpr std::size_t kReplyRowsAtOnce = 4'096;
constexpr const char* kSuperseded = "the session goes on as another one";

// Which replies of a session the table has, for one that a former process knew.
Result<void> load_replies(CoreState& state, Session& session) {
  if (session.replies_loaded) return {};
  ReplyKey from{session.id, Sequence{}};
  const ReplyKey end{SessionId{session.id.value() + 1}, Sequence{}};
  while (true) {
    const auto rows = TRY(state.txn.rows<tables::Replies>(from, end, kReplyRowsAtOnce));
    for (const auto& row : rows) {
      if (session.replies.contains(row.key.sequence)) continue;
      const std::uint64_t change = TRY(change_of_reply(row.record.bytes));
      session.replies.add(row.key.sequence, change);
    }
    if (rows.size() < kReplyRowsAtOnce) break;
    from.sequence = Sequence{rows.back().key.sequence.value() + 1};
  }
  session.replies_loaded = true;
  return {};
}

class HelloJob final : public CoreJob {
 public:
  HelloJob(HelloArgs args, std::shared_ptr<ReplySink> sink, WelcomeReply reply)
      : args_(std::move(args)), sink_(std::move(sink)), reply_(std::move(reply)) {}

  Result<void> change(CoreState& state) override {
    TRY(check(state));
    Session* former = args_.session == SessionId{} ? nullptr : state.sessions.find(args_.session);
    // An epoch older than ours is one whose welcome got lost. Of a newer one we
    // knew until power was lost: nobody goes on with what is left of that session.
    resumed_ = former != nullptr && args_.epoch <= former->record.epoch;
    if (resumed_) TRY(load_replies(state, *former));
    if (resumed_ && was_told_of_lost_changes(former->replies)) {
      // The log keeps its order, so what we had said and do not know went with the power.
      log_warn("sessions", "session {} of {} on {} ({}) was told of changes that are lost; it goes on as a new one",
               former->id.value(), args_.program, args_.host, args_.place);
      resumed_ = false;
    }
    superseded_ = former != nullptr && !resumed_;
    if (resumed_) {
      id_ = former->id;
      was_known_ = former->back_since_start;
      record_ = former->record;
      record_.answered_through = former->replies.answered_through();
    } else {
      if (state.sessions.all().size() >= state.config.sessions_max)
        return fail(Errc::overloaded, fmt::format("the server has {} sessions, which is the limit "
                                                  "of its settings",
                                                  state.sessions.all().size()));
      id_ = state.row.next_session();
      record_.since = state.clock.wall();
    }
    record_.epoch = Epoch{record_.epoch.value() + 1};
    record_.program = args_.program;
    record_.host = args_.host;
    record_.place = args_.place;
    record_.process = args_.process;
    record_.wants_leases = args_.wants_leases;
    state.txn.put<tables::Sessions>(id_, record_);
    return {};
  }

  void finish(CoreState* state, Result<void> committed) override {
    if (!committed) return reply_(fail(std::move(committed).error()));
    const Epoch epoch = record_.epoch;
    log_info("sessions", "session {} of {} on {} ({}) {}", id_.value(), record_.program,
             record_.host, record_.place, what_it_does());
    const bool may_use_more = resumed_ && args_.adopts && !was_known_ && args_.wants_leases;
    state->sessions.connect(id_, std::move(record_), std::move(sink_), args_.held,
                            may_use_more ? SessionTable::Return::in_part
                                         : SessionTable::Return::whole);
    if (superseded_) state->sessions.evict(args_.session, {Errc::session_lost, kSuperseded});
    if (args_.wants_leases && !resumed_) end_former(*state);
    if (resumed_ && args_.adopts) find_estate(*state);
    take_locks(*state);
    LeaseTerms terms = take_leases(*state);
    confirm_estate(*state);
    reply_(WelcomeResult{.cluster = state->row.record().cluster,
                         .session = id_,
                         .epoch = epoch,
                         .resumed = resumed_,
                         .server_time = state->clock.wall(),
                         .group_table = state->cluster.table(),
                         .chunk_size = state->row.record().chunk_size,
                         .session_timeout = state->config.session_timeout,
                         .leases = std::move(terms),
                         .estate = std::move(estate_)});
  }

 private:
  bool was_told_of_lost_changes(const ReplyWindow& kept) const {
    return args_.succeeded > kept.largest() || args_.changes_told > kept.changes();
  }

  const char* what_it_does() const {
    if (!resumed_) return "begins";
    return args_.adopts ? "goes on with another process" : "goes on";
  }

  // As if the session had said itself what it has. Of what it had before the server
  // was started it says what it remembers.
  void find_estate(const CoreState& state) {
    estate_.emplace();
    estate_->is_complete = was_known_;
    estate_->leases = was_known_ ? state.leases.table().leases_of(id_) : args_.leases;
    estate_->locks = was_known_ ? state.locks.table().held_by(id_) : args_.locks;
  }
  // Of that it has what nobody else was given.
  void confirm_estate(const CoreState& state) {
    if (!estate_ || was_known_) return;
    estate_->leases = state.leases.table().leases_of(id_);
    estate_->locks = state.locks.table().held_by(id_);
  }
  const std::vector<HeldLock>& claimed_locks() const {
    return estate_ ? estate_->locks : args_.locks;
  }
  const LeaseClaims& claimed_leases() const { return estate_ ? estate_->leases : args_.leases; }

  // Another process of this machine has mounted at the place of one that was killed:
  // that one does not come back, and nobody is to wait for what it had.
  void end_former(CoreState& state) const {
    std::vector<SessionId> former;
    for (const auto& [id, session] : state.sessions.all()) {
      const SessionRecord& known = session->record;
      const bool is_away = session->sink == nullptr && !session->ending;
      if (id != id_ && is_away && known.program == args_.program && known.host == args_.host &&
          known.place == args_.place && known.process != args_.process)
        former.push_back(id);
    }
    for (const SessionId id : former) {
      log_info("sessions", "session {} is over: session {} has taken its place", id.value(),
               id_.value());
      state.sessions.evict(id, {Errc::session_lost, kSuperseded});
    }
  }

  // What a session held that is not known any more may be another's by now.
  void take_locks(CoreState& state) const {
    const std::size_t lost =
        state.locks.came(id_, resumed_ ? claimed_locks() : std::vector<HeldLock>{}) +
        (resumed_ ? 0 : args_.locks.size());
    if (lost > 0)
      log_warn("sessions", "session {} of {} on {} ({}) has lost {} locks", id_.value(),
               args_.program, args_.host, args_.place, lost);
  }

  // The same of leases; what the session does not say it has, it has not.
  LeaseTerms take_leases(CoreState& state) const {
    LeaseTerms terms;
    terms.lease_time = state.config.lease_time;
    const bool believed = resumed_ && args_.wants_leases;
    terms.lost = state.leases.came(id_, believed ? claimed_leases() : LeaseClaims{});
    terms.order = state.leases.order();
    if (believed) return terms;
    terms.lost = args_.leases.read;
    terms.lost.insert(terms.lost.end(), args_.leases.write.begin(), args_.leases.write.end());
    return terms;
  }

  Result<void> check(const CoreState& state) const {
    const std::string& cluster = state.row.record().cluster;
    if (!args_.cluster.empty() && args_.cluster != cluster)
      return fail(Errc::wrong_cluster, fmt::format("cluster {} is expected; this is cluster {}",
                                                   args_.cluster, cluster));
    if (args_.program.size() > kNameBytesMax || args_.host.size() > kNameBytesMax ||
        args_.place.size() > kPlaceBytesMax)
      return fail(Errc::bad_message, "the program, host or place in the hello is too long");
    if (args_.held.size() > state.config.held_max)
      return fail(Errc::bad_message, fmt::format("{} files are said to be open; {} are allowed",
                                                 args_.held.size(), state.config.held_max));
    return {};
  }

  const HelloArgs args_;
  std::shared_ptr<ReplySink> sink_;
  const WelcomeReply reply_;
  SessionId id_;
  SessionRecord record_;
  bool resumed_ = false;
  bool was_known_ = false;  // it has been here since the server was started
  std::optional<SessionEstate> estate_;
  bool superseded_ = false;  // the session that is asked for is an older one of this client
};

class DisconnectJob final : public CoreJob {
 public:
  DisconnectJob(SessionId session, Epoch epoch) : session_(session), epoch_(epoch) {}
  Result<void> change(CoreState&) override { return {}; }
  void finish(CoreState* state, Result<void>) override {
    if (state == nullptr || !state->sessions.disconnect(session_, epoch_)) return;
    state->locks.went(session_);
    state->leases.went(session_);
  }

 private:
  const SessionId session_;
  const Epoch epoch_;
};

class GoodbyeJob final : public CoreJob {
 public:
  GoodbyeJob(SessionId session, Epoch epoch, std::function<void()> done)
      : session_(session), epoch_(epoch), done_(std::move(done)) {}

  Result<void> change(CoreState& state) override {
    if (!state.sessions.end(session_, epoch_)) return {};
    end_ = TRY(end_some_of_session(state, session_));
    return {};
  }

  void finish(CoreState* state, Result<void> committed) override {
    if (state != nullptr && committed && end_ == SessionEnd::done) {
      log_info("sessions", "session {} has said goodbye", session_.value());
      state->sessions.remove(session_);
    }
    done_();
  }

 private:
  const SessionId session_;
  const Epoch epoch_;
  const std::function<void()> done_;
  SessionEnd end_ = SessionEnd::more;
};

}  // namespace

Result<SessionEnd> end_some_of_session(CoreState& state, SessionId session) {
  const auto rows = TRY(state.txn.rows<tables::Replies>(
      {session, Sequence{}}, {SessionId{session.value() + 1}, Sequence{}}, kReplyRowsAtOnce));
  for (const auto& row : rows) state.txn.erase<tables::Replies>(row.key);
  if (const std::size_t locks = state.locks.table().locks_of(session); locks > 0)
    log_info("sessions", "session {} ends with {} locks", session.value(), locks);
  const bool unlocked = state.locks.release_some(session);
  const bool given_back = state.leases.release_some(session);
  const bool all_released = state.sessions.release_some(session) && unlocked && given_back;
  if (!all_released || rows.size() == kReplyRowsAtOnce) return SessionEnd::more;
  state.txn.erase<tables::Sessions>(session);
  return SessionEnd::done;
}

std::unique_ptr<CoreJob> make_goodbye_job(SessionId session, Epoch epoch,
                                          std::function<void()> done) {
  return std::make_unique<GoodbyeJob>(session, epoch, std::move(done));
}

std::unique_ptr<CoreJob> make_hello_job(HelloArgs args, std::shared_ptr<ReplySink> sink,
                                        WelcomeReply reply) {
  return std::make_unique<HelloJob>(std::move(args), std::move(sink), std::move(reply));
}

std::unique_ptr<CoreJob> make_disconnect_job(SessionId session, Epoch epoch) {
  return std::make_unique<DisconnectJob>(session, epoch);
}

}  // namespace dfs
