// The calls of FileSystem about locks.
//
//   Whatever weakens a lock goes to the server after the bytes that were
//   written under it.
//   Wherever an answer did not come in time, the server is told what is held
//   here: requests stay in order, so nothing it granted meanwhile is left over.
#include <mutex>

#include "common/base/log.h"
#include "common/client/engine.h"

namespace dfs {
namespace {

FileLock unlock_all(LockFamily family, std::uint64_t owner) {
  FileLock lock;
  lock.family = family;
  lock.kind = LockKind::unlocked;
  lock.owner = owner;
  return lock;
}

// The server has said no: it has not set the lock and will not. Of a limit it
// does not say what is left of a flock.
bool is_refusal(Errc code) { return code == Errc::again || code == Errc::deadlock; }

void note_lock(InodeState& state, const FileLock& lock) {
  if (lock.family == LockFamily::posix) state.was_locked_here.store(true);
}

}  // namespace

// `over_` is set by whoever settles the request: the answer, or who gives up.
class Engine::LockInWait final : public LockWait, public std::enable_shared_from_this<LockInWait> {
 public:
  LockInWait(Engine& engine, OpenFilePtr file, const FileLock& lock, const Caller& caller,
             LockDone done)
      : engine_(engine), file_(std::move(file)), lock_(lock), caller_(caller), done_(std::move(done)) {}

  void ask() {
    SetLockArgs args;
    {
      const std::lock_guard guard(mutex_);
      if (over_) return;
      request_ = engine_.held_.begin(inode(), lock_, file_.get());
      ticket_ = engine_.next_ticket();
      args = {inode(), lock_, true, ticket_};
    }
    const auto self = shared_from_this();
    const Result<void> sent = engine_.late_.start(
        engine_.meta_, args, caller_,
        [self](const Result<MetaResult>& answer, LateCalls::Arrival) { self->take(answer); });
    if (!sent) return take(fail(sent.error()));
    // Given up before it was sent, and so cancelled before it was made.
    if (is_over()) engine_.cancel_lock(inode(), lock_, args.ticket);
  }

  void give_up() override {
    std::uint64_t ticket = 0;
    {
      const std::lock_guard guard(mutex_);
      if (over_) return;
      over_ = true;
      if (request_) engine_.held_.refused(*request_);
      ticket = ticket_;
    }
    engine_.cancel_lock(inode(), lock_, ticket);
    done_(fail(Errc::interrupted, "waiting for a lock"));
  }

 private:
  InodeId inode() const { return file_->state()->inode; }
  bool is_over() {
    const std::lock_guard guard(mutex_);
    return over_;
  }

  void take(const Result<MetaResult>& answer) {
    bool in_doubt = false;
    {
      const std::lock_guard guard(mutex_);
      if (over_) return;
      if (answer) {
        in_doubt = !engine_.held_.granted(*request_);
      } else {
        engine_.held_.refused(*request_);
      }
      request_.reset();
      over_ = !in_doubt;
    }
    if (in_doubt) return ask();
    if (!answer) {
      if (!is_refusal(answer.error().code)) engine_.set_lock_right(inode(), lock_);
      return done_(fail(answer.error()));
    }
    done_(engine_.locked(*file_->state(), *answer));
  }

  Engine& engine_;
  const OpenFilePtr file_;
  const FileLock lock_;
  const Caller caller_;
  const LockDone done_;
  std::mutex mutex_;
  std::optional<HeldLocks::Request> request_;  // on its way
  std::uint64_t ticket_ = 0;
  bool over_ = false;
};

Result<Locked> Engine::set_lock(OpenFile& file, const FileLock& lock, const CallContext& context) {
  const InodeStatePtr& state = file.state();
  const InodeId inode = state->inode;
  note_lock(*state, lock);
  if (lock.kind != LockKind::exclusive && held_.concerns(inode, lock)) {
    TRY(send_written(state, context.interrupt));
  }
  if (held_.only_weakens(inode, lock)) {
    TRY(weaken_lock(inode, lock, context));
    return Locked{};
  }
  for (;;) {
    const HeldLocks::Request request = held_.begin(inode, lock, &file);
    const SetLockArgs args{inode, lock, false, next_ticket()};
    const Result<MetaResult> answer = meta_.call(args, context.caller, context.interrupt);
    if (!answer) {
      held_.refused(request);
      if (!is_refusal(answer.error().code)) cancel_lock(inode, lock, args.ticket);
      return fail(answer.error());
    }
    if (held_.granted(request)) return locked(*state, *answer);
  }
}

std::shared_ptr<LockWait> Engine::wait_for_lock(const OpenFilePtr& file, const FileLock& lock,
                                                const Caller& caller, LockDone done) {
  note_lock(*file->state(), lock);
  const auto wait = std::make_shared<LockInWait>(*this, file, lock, caller, std::move(done));
  wait->ask();
  return wait;
}

Result<std::optional<FileLock>> Engine::get_lock(OpenFile& file, const FileLock& lock,
                                                 const CallContext& context) {
  LockResult found = TRY(ask<LockResult>(GetLockArgs{file.state()->inode, lock}, context));
  if (found.lock && found.session != meta_.session()) found.lock->process = 0;
  return found.lock;
}

Result<void> Engine::release_locks(OpenFile& file, std::uint64_t owner, const CallContext& context) {
  const InodeStatePtr& state = file.state();
  const FileLock all = unlock_all(LockFamily::posix, owner);
  if (!held_.concerns(state->inode, all)) return {};
  if (!context.may_wait) return fail(Errc::would_wait);
  const Result<void> sent = send_written(state, context.interrupt);
  if (!sent) {
    // The program may be dead: nobody will ask again.
    release_later(state, all);
    return {};
  }
  const Result<void> released = weaken_lock(state->inode, all, context);
  if (!released && released.error().code == Errc::interrupted) return {};  // it is on its way
  return released;
}

std::vector<HeldLock> Engine::held_locks() { return held_.say_all(); }

// --- steps -----------------------------------------------------------------------------

// A failure that leaves nothing to be sent keeps no lock from being given up. The file's
// kept error stays where it is: between taking it and putting it back a program
// that makes sure of its bytes would find nothing wrong.
Result<void> Engine::send_written(const InodeStatePtr& state, Interrupt* interrupt) {
  {
    const std::lock_guard lock(state->mutex);
    if (state->dirty.empty()) return {};
  }
  Result<void> flushed = write_back_.flush(state, interrupt, WriteBack::KeptError::leave);
  if (flushed) return {};
  const Errc code = flushed.error().code;
  if (code == Errc::interrupted || is_retryable(code)) return flushed;
  const std::lock_guard lock(state->mutex);
  state->keep_error_locked(flushed.error());
  return {};
}

Result<void> Engine::weaken_lock(InodeId inode, const FileLock& lock, const CallContext& context) {
  if (!held_.concerns(inode, lock)) return {};
  const auto former = held_.weaken(inode, lock);
  const auto settle = [this, inode, lock, former](const Result<MetaResult>& answer,
                                                  LateCalls::Arrival) {
    if (answer) return;
    if (answer.error().code == Errc::no_locks) return held_.restore(inode, lock, former);
    set_lock_right(inode, lock);
  };
  return late_.call(meta_, SetLockArgs{inode, lock, false, next_ticket()}, context.caller,
                    context.interrupt, settle);
}

// What others wrote before shows in the attributes that came with the lock.
Result<Locked> Engine::locked(InodeState& state, const MetaResult& answer) {
  const auto* result = std::get_if<AttributesResult>(&answer);
  if (result == nullptr) return fail(Errc::bad_message, "a lock comes without attributes");
  gate_.granted(result->attributes);
  const std::lock_guard lock(state.mutex);
  if (!result->attributes.provisional) state.learn_locked(result->attributes, clock_.now());
  const bool keep_cache = state.kernel_is_told_locked();
  if (!keep_cache) state.pages_forgotten_locked(clock_.now());
  return Locked{.keep_cache = keep_cache};
}

void Engine::release_later(const InodeStatePtr& state, const FileLock& lock) {
  static_cast<void>(held_.weaken(state->inode, lock));
  releases_.add([this, state, lock](Interrupt& stop) {
    const Result<void> sent = send_written(state, &stop);
    if (!sent)
      log_warn("client", "a lock on inode {} ends although not all is sent that was written under it: {}",
               state->inode.value(), sent.error().to_string());
    set_lock_right(state->inode, lock);
  });
}

void Engine::release_locks_of(const OpenFile& file, const InodeStatePtr& state, bool dirty) {
  for (const FileLock& end : held_.end_of(state->inode, &file)) {
    if (dirty) {
      release_later(state, end);
    } else {
      meta_.post(SetLockArgs{state->inode, end, false, next_ticket()});
    }
  }
}

void Engine::set_lock_right(InodeId inode, const FileLock& lock) {
  held_.set_right(inode, lock, [&](const FileLock& held) {
    meta_.post(SetLockArgs{inode, held, false, next_ticket()});
  });
}

void Engine::cancel_lock(InodeId inode, const FileLock& lock, std::uint64_t ticket) {
  meta_.post(CancelLockArgs{ticket});
  set_lock_right(inode, lock);
}

}  // namespace dfs
