#include "server/storage/put_job.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/rpc/protocol.h"

namespace dfs::storage {
namespace {

// While more than this waits to be written, a write may be made to wait by the
// kernel, and a polling thread must not be.
constexpr std::uint64_t kCalmBytes = 8 * MiB;

std::uint64_t size_of(const std::vector<BufferView>& parts) {
  std::uint64_t size = 0;
  for (const BufferView part : parts) size += part.size();
  return size;
}

PutPart settings_of(const PutPart& first) {
  PutPart settings;
  settings.chunk = first.chunk;
  settings.length = first.length;
  settings.epoch = first.epoch;
  settings.sync = first.sync;
  settings.capability = first.capability;
  settings.inode = first.inode;
  settings.file_offset = first.file_offset;
  settings.written = first.written;
  settings.scattered = first.scattered;
  return settings;
}

}  // namespace

PutJob::PutJob(ServiceContext& context, std::string cluster, ServerId self,
               std::shared_ptr<PutAnswers> answers, const PutPart& first)
    : context_(context),
      cluster_(std::move(cluster)),
      self_(self),
      answers_(std::move(answers)),
      meta_{.chunk = first.chunk,
            .length = first.length,
            .inode = first.inode,
            .file_offset = first.file_offset,
            .written = first.written,
            .scattered = first.scattered},
      session_(first.session),
      settings_(settings_of(first)),
      resumed_(first.query) {
  for (const ForwardTarget& target : first.forward) {
    if (target.server == self_) continue;
    if (target.address.empty()) {
      members_.push_back({target.server, nullptr, 0,
                          fail(Errc::unavailable, "the sender does not know where the server is")});
      continue;
    }
    members_.push_back({target.server, context_.replicator.link(target, cluster_), 0, std::nullopt});
  }
}

void PutJob::take(PutPart part, std::shared_ptr<const ReceivedBytes> bytes) {
  if (const auto allowed = context_.sessions.check(session_); !allowed)
    return fail_job(allowed.error());
  if (part.offset == 0 && !resumed_) begin_forwarding();
  if (!resumed_) forward(part, bytes);
  Pending pending{.query = part.query,
                  .offset = part.offset,
                  .checksums = std::move(part.checksums),
                  .bytes = std::move(bytes)};
  bool run_inline = false;
  {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    const bool idle = !running_;
    run_inline = idle && may_run_inline(pending);
    queue_.push_back(std::move(pending));
    if (!idle) return;
    running_ = true;
  }
  if (run_inline) return run_queue();
  if (!context_.disk.submit([self = shared_from_this()] { self->run_queue(); }))
    fail_job({Errc::overloaded, "too much waits for the disks"});
}

// A small chunk that is whole goes into the page cache in microseconds.
bool PutJob::may_run_inline(const Pending& pending) const {
  return !pending.query && pending.offset == 0 &&
         meta_.length <= std::min(context_.config.inline_bytes_max, kFrameBytesMax) &&
         context_.received->used() <= kCalmBytes;
}

void PutJob::run_queue() {
  while (true) {
    Pending pending;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty() || over_) {
        queue_.clear();
        running_ = false;
        return;
      }
      pending = std::move(queue_.front());
      queue_.pop_front();
    }
    if (const auto handled = handle(pending); !handled) fail_job(handled.error());
  }
}

// --- this member --------------------------------------------------------------------

Result<void> PutJob::handle(const Pending& pending) {
  if (store_ == nullptr) store_ = TRY(context_.stores.store_to_put(meta_));
  if (pending.query) {
    const std::uint32_t have = TRY(store_->begin(meta_));
    begun_ = true;
    have_answer(have);  // the sender goes on from there, with the last block at least
    return {};
  }
  const std::uint64_t bytes = size_of(pending.bytes->parts());
  context_.metrics.put_bytes.add(static_cast<double>(bytes));
  return bytes == meta_.length && !begun_ ? store_whole(pending) : store_part(pending);
}

Result<void> PutJob::store_whole(const Pending& pending) {
  TRY(store_->put(meta_, pending.checksums, pending.bytes->parts()));
  stored();
  return {};
}

Result<void> PutJob::store_part(const Pending& pending) {
  if (!begun_) {
    TRY(store_->begin(meta_));
    begun_ = true;
  }
  const std::uint32_t have =
      TRY(store_->append(meta_.chunk, pending.offset, pending.checksums, pending.bytes->parts()));
  const std::uint64_t end = pending.offset + size_of(pending.bytes->parts());
  if (end < meta_.length) {
    // What an earlier upload left is not for the sender to know: it sends all
    // of it and expects each part to be acknowledged.
    have_answer(std::min<std::uint32_t>(have, static_cast<std::uint32_t>(end)));
    return {};
  }
  TRY(store_->finish(meta_.chunk));
  stored();
  return {};
}

void PutJob::have_answer(std::uint32_t have) {
  PutAnswer answer;
  answer.chunk = meta_.chunk;
  answer.have = have;
  answers_->answer(answer);
}

void PutJob::stored() {
  context_.metrics.puts.add();
  if (!settings_.sync) return kept({});
  const SteadyTime start = context_.clock.now();
  store_->sync({&meta_.chunk, 1}, [self = shared_from_this(), start](Result<void> synced) {
    const std::chrono::duration<double> took = self->context_.clock.now() - start;
    self->context_.metrics.sync_seconds.observe(took.count());
    self->kept(synced);
  });
}

void PutJob::kept(const Result<void>& result) {
  if (!result) return fail_job(result.error());
  if (resumed_) catch_members_up();
  {
    const std::lock_guard lock(mutex_);
    kept_ = true;
  }
  answer_when_complete();
}

// --- the other members -----------------------------------------------------------------

void PutJob::begin_forwarding() {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (!members_[i].link) continue;
    const auto ticket = members_[i].link->begin(
        meta_.chunk, [self = shared_from_this(), i](Result<Forwarded> result) {
          self->member_answered(i, std::move(result));
        });
    const std::lock_guard lock(mutex_);
    members_[i].ticket = ticket;
  }
}

void PutJob::forward(const PutPart& part, const std::shared_ptr<const ReceivedBytes>& bytes) {
  for (const Member& member : members_) {
    if (member.link) member.link->send(part, bytes);
  }
}

// Sends the chunk from the store, where it lies in the page cache. Runs where
// the disk may be waited for.
void PutJob::catch_members_up() {
  if (members_.empty()) return;
  const auto send_all = [self = shared_from_this()] {
    self->begin_forwarding();
    for (std::uint32_t offset = 0; offset < self->meta_.length; offset += kFrameBytesMax) {
      const ReadRange range{offset, std::min(kFrameBytesMax, self->meta_.length - offset)};
      auto bytes = self->store_->get(self->meta_.chunk, range, ReadFrom::disk);
      if (!bytes) {
        for (std::size_t i = 0; i < self->members_.size(); ++i)
          self->member_answered(i, fail(bytes.error()));
        return;
      }
      PutPart part = self->settings_;
      part.offset = offset;
      part.checksums = bytes->checksums;
      self->forward(part, std::make_shared<ReceivedBytes>(std::move(*bytes), self->context_.received));
    }
  };
  if (context_.disk.submit(send_all)) return;
  for (std::size_t i = 0; i < members_.size(); ++i)
    member_answered(i, fail(Errc::overloaded, "too much waits for the disks"));
}

void PutJob::member_answered(std::size_t member, Result<Forwarded> result) {
  if (!result) context_.metrics.forward_failures.add();
  {
    const std::lock_guard lock(mutex_);
    if (members_[member].result) return;
    members_[member].result = std::move(result);
  }
  answer_when_complete();
}

// --- the end ------------------------------------------------------------------------------

void PutJob::answer_when_complete() {
  PutAnswer answer;
  answer.chunk = meta_.chunk;
  answer.have = meta_.length;
  answer.done = true;
  {
    const std::lock_guard lock(mutex_);
    const bool complete =
        kept_ && std::all_of(members_.begin(), members_.end(),
                             [](const Member& member) { return member.result.has_value(); });
    if (!complete || std::exchange(over_, true)) return;
    answer.outcome.stored_on.push_back(self_);
    if (settings_.sync) answer.outcome.synced_on.push_back(self_);
    for (const Member& member : members_) {
      const Result<Forwarded>& result = *member.result;
      if (!result) {
        answer.outcome.failed.emplace_back(member.server, result.error());
        continue;
      }
      answer.outcome.stored_on.push_back(member.server);
      if (result->synced) answer.outcome.synced_on.push_back(member.server);
    }
  }
  // Over first: the sender may send the chunk again as soon as it knows.
  answers_->job_over(meta_.chunk);
  answers_->answer(answer);
}

void PutJob::fail_job(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(over_, true)) return;
  }
  context_.metrics.put_failures.add();
  PutAnswer answer;
  answer.chunk = meta_.chunk;
  answer.error = error;
  forget_members();
  answers_->job_over(meta_.chunk);
  answers_->answer(answer);
}

void PutJob::abandon() {
  {
    // What is queued is still written: over_ would drop it.
    const std::lock_guard lock(mutex_);
    if (over_) return;
  }
  forget_members();
}

void PutJob::forget_members() {
  for (const Member& member : members_) {
    if (!member.link) continue;
    ForwardLink::Ticket ticket = 0;
    {
      const std::lock_guard lock(mutex_);
      ticket = member.ticket;
    }
    member.link->forget(meta_.chunk, ticket);
  }
}

}  // namespace dfs::storage
