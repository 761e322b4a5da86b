#include "common/client/chunk_writer.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/client/client_metrics.h"

namespace dfs {
namespace {

constexpr unsigned kGroupsMax = 3;     // tried before a pause
constexpr unsigned kRefusalsMax = 8;   // new names tried before giving up
constexpr std::chrono::milliseconds kFirstPause{20};
constexpr std::chrono::milliseconds kFullFor{1000};

bool contains(const std::vector<ServerId>& servers, ServerId server) {
  return std::find(servers.begin(), servers.end(), server) != servers.end();
}

void add(std::vector<ServerId>& servers, ServerId server) {
  if (!contains(servers, server)) servers.push_back(server);
}

std::size_t copies_enough(std::size_t members) { return std::max<std::size_t>(1, members - 1); }

bool shares_members(const GroupTable& table, GroupId id, const std::vector<ServerId>& servers) {
  const auto group = table.groups.find(id);
  if (group == table.groups.end()) return true;
  return std::any_of(group->second.members.begin(), group->second.members.end(),
                     [&](const GroupMember& member) { return contains(servers, member.server); });
}

// No other try can cure these.
bool is_final(Errc code) {
  switch (code) {
    case Errc::no_space:
    case Errc::quota:
    case Errc::not_permitted:
    case Errc::access:
    case Errc::read_only:
    case Errc::file_too_big:
    case Errc::not_found:
    case Errc::stale:
      return true;
    default:
      return false;
  }
}

}  // namespace

ChunkWriter::ChunkWriter(const Parts& parts, Settled settled)
    : parts_(parts), settled_(std::move(settled)) {}

ChunkWriter::~ChunkWriter() {
  std::unique_lock lock(idle_mutex_);
  idle_.wait(lock, [this] { return in_flight_.load() == 0; });
}

bool ChunkWriter::full() const {
  return parts_.clock.now().time_since_epoch().count() < full_until_.load(std::memory_order_relaxed);
}

void ChunkWriter::note_full() {
  full_until_ = (parts_.clock.now() + kFullFor).time_since_epoch().count();
}

class ChunkWriter::Prepared {
 public:
  Attempt attempt;
  PutArgs args;
  std::shared_ptr<StorageClient> client;
};

std::shared_ptr<StorageClient> ChunkWriter::connection(const Prepared& prepared) {
  return prepared.client;
}

bool ChunkWriter::ensure_name(const InodeStatePtr& state, const PendingChunkPtr& chunk,
                              Interrupt* interrupt) {
  UploadProgress& upload = chunk->upload;
  if (upload.chunk != ChunkId{}) return true;
  chunk->finish();
  if (upload.written == 0) upload.written = next_time();
  const Result<void> named = name(state, *chunk, interrupt);
  const bool has_copies = upload.fallback != ChunkId{};
  if (named) {
    // The group tried before has some copies; one that lacks the same
    // servers would not be better.
    const bool no_better = has_copies && shares_members(*parts_.meta.group_table(),
                                                        upload.chunk.group(), upload.avoid);
    if (!no_better) return true;
  }
  const Error problem = named ? Error{} : named.error();
  if (problem.code == Errc::interrupted) {
    again(state, chunk, std::chrono::milliseconds{0});
  } else if (has_copies) {
    upload.chunk = upload.fallback;
    uploaded(state, chunk);
  } else if (is_final(problem.code)) {
    give_up(state, chunk, problem);
  } else if (const auto pause = next_pause(upload)) {
    again(state, chunk, *pause);
  } else {
    give_up(state, chunk, Error{Errc::timed_out, "no chunk ids: " + problem.text});
  }
  return false;
}

// Of this mount's chunks each has a later one than those before, whatever the
// clock does.
WallNanos ChunkWriter::next_time() {
  WallNanos last = last_time_.load(std::memory_order_relaxed);
  WallNanos next = 0;
  do {
    next = std::max(parts_.clock.wall(), last + 1);
  } while (!last_time_.compare_exchange_weak(last, next, std::memory_order_relaxed));
  return next;
}

Result<void> ChunkWriter::name(const InodeStatePtr& state, PendingChunk& chunk,
                               Interrupt* interrupt) {
  ChunkAllocator::Wanted wanted;
  wanted.inode = state->inode;
  wanted.avoid = chunk.upload.avoid;
  {
    const std::lock_guard lock(state->mutex);
    wanted.replicas = state->attributes.replicas;
    wanted.chunk_size = state->attributes.chunk_size;
  }
  const std::uint32_t whole = wanted.chunk_size != 0 ? wanted.chunk_size : kChunkSizeDefault;
  wanted.kind = chunk.length() >= whole / 2 ? ChunkAllocator::Kind::whole
                                            : ChunkAllocator::Kind::small;
  ChunkGrant grant = TRY(parts_.allocator.take(wanted, interrupt));
  chunk.upload.chunk = grant.chunk;
  chunk.upload.capability = std::move(grant.capability);
  chunk.upload.failed.clear();
  chunk.upload.resume = false;
  return {};
}

ChunkWriter::PreparedPtr ChunkWriter::prepare(const InodeStatePtr& state,
                                              const PendingChunkPtr& chunk,
                                              Interrupt* interrupt) {
  in_flight_.fetch_add(1);
  if (!ensure_name(state, chunk, interrupt)) {
    leave();
    return nullptr;
  }
  UploadProgress& upload = chunk->upload;
  const GroupTablePtr table = parts_.meta.group_table();
  const GroupId group = upload.chunk.group();

  auto prepared = std::make_shared<Prepared>();
  Attempt& attempt = prepared->attempt;
  attempt.state = state;
  attempt.chunk = chunk;
  attempt.sync = chunk->sync;
  attempt.members = parts_.health.write_order(*table, group, upload.chunk.serial());
  std::vector<ServerId> targets;
  for (const ServerId member : attempt.members) {
    // Waiting for a silent one would slow down every chunk; it is filled later.
    const bool skip = contains(upload.failed, member) ||
                      (!targets.empty() && parts_.health.suspect(member));
    if (!skip) targets.push_back(member);
  }
  if (targets.empty()) {
    std::string text = "no member of the group answers";
    if (!upload.last_problem.empty()) text += "; of the last: " + upload.last_problem;
    act(attempt, Verdict::other_group, Error{Errc::unavailable, std::move(text)});
    leave();
    return nullptr;
  }
  attempt.first = targets.front();
  attempt.epoch = table->groups.at(group).epoch;
  attempt.session = parts_.meta.session();

  PutArgs& args = prepared->args;
  args.chunk = upload.chunk;
  args.epoch = attempt.epoch;
  args.forward.assign(targets.begin() + 1, targets.end());
  args.sync = attempt.sync;
  args.capability = upload.capability;
  args.inode = state->inode;
  args.file_offset = chunk->file_offset;
  args.written = upload.written;
  args.scattered = !chunk->contiguous;
  args.session = attempt.session;
  args.pieces = chunk->pieces();
  args.checksums = chunk->checksums();
  args.resume = upload.resume;
  prepared->client = parts_.storage.client(attempt.first);
  return prepared;
}

void ChunkWriter::send(const PreparedPtr& prepared) {
  const std::shared_ptr<StorageClient> client = std::move(prepared->client);
  client->put(std::move(prepared->args), [this, prepared](Result<PutOutcome> outcome) {
    completed(prepared->attempt, std::move(outcome));
    // Whoever made the call may keep this function, and `prepared`, for
    // longer than the write buffer lives that the chunk's memory belongs to.
    prepared->attempt = Attempt{};
    leave();
  });
}

void ChunkWriter::completed(const Attempt& attempt, Result<PutOutcome> outcome) {
  if (outcome) {
    const Verdict verdict = judge(attempt, *outcome);
    act(attempt, verdict, Error{Errc::unavailable, "too few members stored the chunk"});
  } else {
    act(attempt, judge(attempt, outcome.error()), outcome.error());
  }
}

ChunkWriter::Verdict ChunkWriter::judge(const Attempt& attempt, PutOutcome& outcome) {
  UploadProgress& upload = attempt.chunk->upload;
  parts_.health.answered(attempt.first);
  for (const auto& [server, problem] : outcome.failed) {
    const bool silent = problem.code == Errc::unavailable || problem.code == Errc::timed_out;
    if (silent) parts_.health.failed(server);
    log_warn("client", "server {} did not get chunk {}: {}", server.value(),
             to_string(upload.chunk), problem.to_string());
  }

  std::vector<ServerId>& have = attempt.sync ? outcome.synced_on : outcome.stored_on;
  if (have.empty()) {
    add(upload.failed, attempt.first);
    return Verdict::next_member;
  }
  const bool better_before = upload.stored_on.size() >= have.size() && upload.fallback != ChunkId{};
  if (!better_before) {
    upload.fallback = upload.chunk;
    upload.synced = attempt.sync;
    upload.stored_on = have;
    upload.missing_on.clear();
    for (const ServerId member : attempt.members) {
      if (!contains(have, member)) upload.missing_on.push_back(member);
    }
  }
  const bool enough = have.size() >= copies_enough(attempt.members.size());
  if (enough || upload.groups_tried + 1 >= kGroupsMax) return Verdict::done;
  return Verdict::other_group;
}

ChunkWriter::Verdict ChunkWriter::judge(const Attempt& attempt, const Error& problem) {
  UploadProgress& upload = attempt.chunk->upload;
  switch (problem.code) {
    case Errc::exists:  // other bytes have this name: never ours again
      return ++upload.refusals < kRefusalsMax ? Verdict::new_name : Verdict::give_up;
    case Errc::access:
    case Errc::not_permitted:
    case Errc::invalid:  // the right to write here is not valid (any more)
      parts_.allocator.discard(upload.chunk);
      return ++upload.refusals < kRefusalsMax ? Verdict::new_name : Verdict::give_up;
    case Errc::stale_epoch: {
      const GroupTablePtr table = parts_.meta.group_table();
      const auto group = table->groups.find(upload.chunk.group());
      const bool newer = group != table->groups.end() && group->second.epoch > attempt.epoch;
      return newer ? Verdict::next_member : Verdict::again;
    }
    case Errc::session_lost:
      parts_.health.answered(attempt.first);
      return parts_.meta.session() == attempt.session ? Verdict::again : Verdict::next_member;
    case Errc::corrupt:
      attempt.chunk->upload.resume = false;
      return ++upload.refusals < kRefusalsMax ? Verdict::next_member : Verdict::give_up;
    case Errc::no_space:
      upload.full = true;
      add(upload.failed, attempt.first);
      return Verdict::other_group;
    default:
      parts_.health.failed(attempt.first);
      add(upload.failed, attempt.first);
      upload.last_problem = problem.text;
      upload.resume = true;
      return Verdict::next_member;
  }
}

void ChunkWriter::act(const Attempt& attempt, Verdict verdict, const Error& problem) {
  UploadProgress& upload = attempt.chunk->upload;
  using std::chrono::milliseconds;
  if (verdict != Verdict::done) {
    client_metrics().upload_retries.add();
    log_debug("client", "upload of {} via server {}: {}", to_string(upload.chunk),
              attempt.first.value(), problem.to_string());
  }
  switch (verdict) {
    case Verdict::done:
      upload.chunk = upload.fallback;
      uploaded(attempt.state, attempt.chunk);
      break;
    case Verdict::next_member:
      again(attempt.state, attempt.chunk, milliseconds{0});
      break;
    case Verdict::new_name:
      upload.chunk = ChunkId{};
      again(attempt.state, attempt.chunk, milliseconds{0});
      break;
    case Verdict::other_group: {
      for (const ServerId member : attempt.members) {
        const bool lacks = contains(upload.failed, member) || contains(upload.missing_on, member) ||
                           parts_.health.suspect(member);
        if (lacks) add(upload.avoid, member);
      }
      upload.chunk = ChunkId{};
      if (++upload.groups_tried < kGroupsMax) {
        again(attempt.state, attempt.chunk, milliseconds{0});
        break;
      }
      if (upload.fallback != ChunkId{}) {
        upload.chunk = upload.fallback;
        uploaded(attempt.state, attempt.chunk);
        break;
      }
      if (upload.full) {
        give_up(attempt.state, attempt.chunk, Error{Errc::no_space, "every storage server is full"});
        break;
      }
      [[fallthrough]];
    }
    case Verdict::again: {
      const auto pause = next_pause(upload);
      if (verdict == Verdict::other_group) {
        upload.groups_tried = 0;
        upload.avoid.clear();
      }
      upload.failed.clear();
      if (pause) {
        again(attempt.state, attempt.chunk, *pause);
      } else {
        give_up(attempt.state, attempt.chunk, Error{Errc::timed_out, problem.text});
      }
      break;
    }
    case Verdict::give_up:
      give_up(attempt.state, attempt.chunk, problem);
      break;
  }
}

std::optional<std::chrono::milliseconds> ChunkWriter::next_pause(UploadProgress& upload) const {
  const SteadyTime now = parts_.clock.now();
  if (!upload.failing_since) upload.failing_since = now;
  const bool soft = parts_.config.soft_timeout.count() > 0;
  if (soft && now - *upload.failing_since >= parts_.config.soft_timeout) return std::nullopt;
  upload.pause = std::clamp(upload.pause * 2, kFirstPause, parts_.config.retry_pause_max);
  return upload.pause;
}

void ChunkWriter::uploaded(const InodeStatePtr& state, const PendingChunkPtr& chunk) {
  ClientMetrics& counts = client_metrics();
  counts.uploads.add();
  counts.upload_bytes.add(chunk->length());
  full_until_.store(0, std::memory_order_relaxed);
  {
    const std::lock_guard lock(state->mutex);
    chunk->phase = ChunkPhase::uploaded;
    state->dirty.release_if_dead(*chunk);
    state->notify_locked();
  }
  settled_(state, chunk);
}

void ChunkWriter::again(const InodeStatePtr& state, const PendingChunkPtr& chunk,
                        std::chrono::milliseconds pause) {
  {
    const std::lock_guard lock(state->mutex);
    chunk->phase = ChunkPhase::sealed;
    chunk->upload.not_before = parts_.clock.now() + pause;
    state->dirty.release_if_dead(*chunk);
    state->notify_locked();
  }
  settled_(state, chunk);
}

void ChunkWriter::give_up(const InodeStatePtr& state, const PendingChunkPtr& chunk,
                          const Error& problem) {
  log_error("client", "inode {}: {} bytes written at {} are lost: {}", state->inode.value(),
            chunk->length(), chunk->file_offset, problem.to_string());
  client_metrics().upload_failures.add();
  if (problem.code == Errc::no_space) note_full();
  {
    const std::lock_guard lock(state->mutex);
    chunk->phase = ChunkPhase::sealed;
    state->keep_error_locked(problem);
    if (problem.code == Errc::not_found || problem.code == Errc::stale) state->gone = true;
    state->dirty.drop(*chunk);
    state->notify_locked();
  }
  settled_(state, chunk);
}

void ChunkWriter::leave() {
  const std::lock_guard lock(idle_mutex_);
  if (in_flight_.fetch_sub(1) == 1) idle_.notify_all();
}

}  // namespace dfs
