#include "common/client/write_log.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/checksum.h"
#include "common/base/log.h"
#include "common/client/client_metrics.h"

namespace dfs {
namespace {

// What nobody waits for is written when it is so much.
constexpr std::uint64_t kPendingMost = 1 * MiB;
constexpr std::size_t kPiecesPerCall = 512;
static_assert(kPiecesPerCall <= IOV_MAX);

Result<void> write_all(int file, std::vector<iovec> pieces, std::uint64_t offset) {
  std::size_t first = 0;
  while (first < pieces.size()) {
    const std::size_t count = std::min(pieces.size() - first, kPiecesPerCall);
    ssize_t written = ::pwritev(file, pieces.data() + first, static_cast<int>(count),
                                static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, "writing");
    if (written == 0) return fail(Errc::io, "nothing could be written");
    offset += static_cast<std::uint64_t>(written);
    while (first < pieces.size() && static_cast<std::size_t>(written) >= pieces[first].iov_len)
      written -= static_cast<ssize_t>(pieces[first++].iov_len);
    if (first < pieces.size()) {
      pieces[first].iov_base = static_cast<char*>(pieces[first].iov_base) + written;
      pieces[first].iov_len -= static_cast<std::size_t>(written);
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<WriteLog>> WriteLog::open(Options options) {
  DirectoryLock lock = TRY(DirectoryLock::acquire(options.directory));
  FormerWrites former = TRY(read_write_log(options.directory, options.cluster));
  return std::unique_ptr<WriteLog>(
      new WriteLog(std::move(options), std::move(lock), std::move(former)));
}

WriteLog::WriteLog(Options options, DirectoryLock lock, FormerWrites former)
    : options_(std::move(options)), lock_(std::move(lock)), former_(std::move(former)) {
  state_.records_all = former_.segments.empty();
  state_.last = state_.stable = former_.last_sequence;
  next_number_ = former_.last_segment + 1;
}

// --- what is written -------------------------------------------------------------------

WriteLog::Hold WriteLog::wrote(InodeId inode, std::uint64_t offset, BufferView data,
                               const UnsentFacts& facts) {
  if (!records_all()) return {};
  LogRecordHeader header = make_record(LogKind::write, inode, offset);
  dfs::set_facts(header, facts);
  const std::uint64_t sequence = add(header, data);
  return sequence == 0 ? Hold() : Hold(*this, sequence);
}

void WriteLog::cut(InodeId inode, std::span<const LogRange> ranges) {
  if (!ranges.empty() && records_all()) add(make_record(LogKind::cut, inode), std::as_bytes(ranges));
}

void WriteLog::facts(InodeId inode, const UnsentFacts& facts) {
  if (!records_all()) return;
  LogRecordHeader header = make_record(LogKind::facts, inode);
  dfs::set_facts(header, facts);
  add(header, {});
}

void WriteLog::intends(InodeId inode, std::uint64_t data_change, ChunkId chunk) {
  LogRecordHeader header = make_record(LogKind::intent, inode, chunk.value());
  header.data_change = data_change;
  add(header, {});
}

void WriteLog::set_session(const SessionMemo& session) {
  {
    const std::lock_guard lock(mutex_);
    state_.session = session;
  }
  LogRecordHeader header = make_record(LogKind::session, InodeId{session.session}, session.epoch);
  header.data_change = session.last_sequence;
  add(header, {});
}

// The bytes are copied before the lock is taken. 0: not recorded.
std::uint64_t WriteLog::add(LogRecordHeader header, BufferView payload) {
  {
    const std::lock_guard lock(mutex_);
    if (state_.failed) return 0;
  }
  header.length = static_cast<std::uint32_t>(payload.size());
  header.payload = checksum_of(payload);
  Pending record;
  record.count = log_record_bytes(header);
  record.bytes = std::make_unique_for_overwrite<std::byte[]>(record.count);
  std::memcpy(record.bytes.get(), &header, sizeof header);
  std::byte* const to = record.bytes.get() + sizeof header;
  if (!payload.empty()) std::memcpy(to, payload.data(), payload.size());
  std::memset(to + payload.size(), 0, record.count - sizeof header - payload.size());

  const std::lock_guard lock(mutex_);
  const std::uint64_t sequence = add_locked(std::move(record));
  if (header.kind == LogKind::write) ++state_.holds[sequence];
  return sequence;
}

std::uint64_t WriteLog::add_locked(Pending record) {
  state_.pending_bytes += record.count;
  state_.pending.push_back(std::move(record));
  return ++state_.last;
}

WriteLog::Hold WriteLog::hold(std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  ++state_.holds[sequence];
  return Hold(*this, sequence);
}

void WriteLog::release(std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  const auto held = state_.holds.find(sequence);
  if (--held->second == 0) state_.holds.erase(held);
}

// --- writing it ------------------------------------------------------------------------

bool WriteLog::make_stable() {
  std::unique_lock lock(mutex_);
  const std::uint64_t wanted = state_.last;
  while (state_.stable < wanted && !state_.failed) {
    if (state_.writing) {
      changed_.wait(lock);
      continue;
    }
    // Nobody writes: we do, for everybody who waits.
    state_.writing = true;
    std::vector<Pending> batch = std::exchange(state_.pending, {});
    state_.pending_bytes = 0;
    const std::uint64_t last = state_.last;
    const std::uint64_t stable = state_.stable;
    lock.unlock();
    const Result<void> written = write_batch(batch, stable);
    batch.clear();
    lock.lock();
    state_.writing = false;
    if (written) state_.stable = last;
    else failed(written.error());
    changed_.notify_all();
  }
  return state_.stable >= wanted;
}

void WriteLog::failed(const Error& problem) {
  state_.failed = true;
  state_.pending.clear();
  state_.pending_bytes = 0;
  log_error("client", "the journal in {} cannot be written: {}; until the mount is made anew, each "
                      "write waits for the servers instead",
            options_.directory.string(), problem.to_string());
}

Result<void> WriteLog::write_batch(std::vector<Pending>& batch, std::uint64_t stable) {
  if (!file_ || end_ >= options_.segment_bytes) TRY(begin_segment(stable + 1));
  std::uint64_t sequence = stable;
  std::vector<iovec> pieces;
  pieces.reserve(batch.size());
  std::uint64_t bytes = 0;
  for (const Pending& record : batch) {
    LogRecordHeader header;
    std::memcpy(&header, record.bytes.get(), sizeof header);
    header.sequence = ++sequence;
    header.stable = stable;
    seal(header, header_.salt);
    std::memcpy(record.bytes.get(), &header, sizeof header);
    pieces.push_back({record.bytes.get(), record.count});
    bytes += record.count;
  }
  if (const std::uint64_t zeros = zeros_->before_append(end_, bytes); zeros > 0)
    if (!write_zeros(zeros)) zeros_->given_up(end_);
  TRY(write_all(file_.get(), std::move(pieces), end_));
  if (::fdatasync(file_.get()) != 0) return fail_errno(errno, "making it stable");
  if (is_new_) TRY(sync_directory());
  is_new_ = false;
  end_ += bytes;
  zeros_->synced();
  client_metrics().log_syncs.add();
  const std::lock_guard lock(mutex_);
  state_.segments.back().bytes = end_;
  return {};
}

// What was in the one before is stable already. So is the header before any record: one that does
// not hold is damaged, if there is something behind it.
Result<void> WriteLog::begin_segment(std::uint64_t first_sequence) {
  const std::uint64_t number = next_number_++;
  const SessionMemo session = [this] {
    const std::lock_guard lock(mutex_);
    return state_.session;
  }();
  const std::filesystem::path path = segment_path(options_.directory, number);
  file_ = UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file_) return fail_errno(errno, "making " + path.string());
  header_ = make_segment_header(number, first_sequence, options_.cluster, session);
  TRY(write_all(file_.get(), {{&header_, sizeof header_}}, 0));
  if (::fdatasync(file_.get()) != 0) return fail_errno(errno, "making it stable");
  end_ = sizeof header_;
  is_new_ = true;
  zeros_.emplace(end_);
  const std::lock_guard lock(mutex_);
  state_.segments.push_back({number, first_sequence, end_});
  return {};
}

Result<void> WriteLog::write_zeros(std::uint64_t count) {
  static std::array<std::byte, 64 * KiB> zeros{};
  std::vector<iovec> pieces;
  for (std::uint64_t at = 0; at < count; at += zeros.size())
    pieces.push_back({zeros.data(), std::min<std::uint64_t>(zeros.size(), count - at)});
  return write_all(file_.get(), std::move(pieces), end_);
}

Result<void> WriteLog::sync_directory() const {
  const UniqueFd directory(::open(options_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0)
    return fail_errno(errno, "making " + options_.directory.string() + " stable");
  return {};
}

// --- its size --------------------------------------------------------------------------

std::uint64_t WriteLog::bytes_locked() const {
  std::uint64_t all = state_.pending_bytes;
  for (const Segment& segment : state_.segments) all += segment.bytes;
  return all;
}

std::uint64_t WriteLog::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_locked();
}

bool WriteLog::has_room() const {
  const std::lock_guard lock(mutex_);
  return state_.failed || bytes_locked() < options_.bytes_max;
}

Wake WriteLog::wait_for_room(const WaitLimits& limits) {
  std::unique_lock lock(mutex_);
  return wait_until(lock, changed_, limits,
                    [this] { return state_.failed || bytes_locked() < options_.bytes_max; });
}

void WriteLog::tidy(Activity activity) {
  bool to_write = false;
  {
    const std::lock_guard lock(mutex_);
    to_write = !state_.pending.empty() &&
               (activity == Activity::idle || state_.pending_bytes > kPendingMost);
  }
  if (to_write) static_cast<void>(make_stable());
  trim(false);
  client_metrics().log_bytes.set(static_cast<double>(bytes()));
}

// One after the other, and each for good before the next: what is there never lacks what
// came after it.
void WriteLog::trim(bool all) {
  for (;;) {
    std::filesystem::path first;
    {
      const std::lock_guard lock(mutex_);
      const auto& segments = state_.segments;
      const std::uint64_t needed =
          state_.holds.empty() ? state_.last + 1 : state_.holds.begin()->first;
      const bool is_last = segments.size() == 1;
      const std::uint64_t next =
          segments.size() > 1 ? segments[1].first_sequence : state_.last + 1;
      if (segments.empty() || next > needed || (is_last && !all)) return;
      first = segment_path(options_.directory, segments.front().number);
    }
    if (const Result<void> removed = remove(first); !removed) {
      log_warn("client", "a part of the journal that is not needed stays: {}",
               removed.error().to_string());
      return;
    }
    const std::lock_guard lock(mutex_);
    state_.segments.pop_front();
    changed_.notify_all();
  }
}

Result<void> WriteLog::remove(const std::filesystem::path& segment) const {
  if (::unlink(segment.c_str()) != 0 && errno != ENOENT)
    return fail_errno(errno, "removing " + segment.string());
  return sync_directory();
}

// --- what a former mount has left ------------------------------------------------------

bool WriteLog::records_all() const {
  const std::lock_guard lock(mutex_);
  return state_.records_all;
}

void WriteLog::begin() {
  const std::lock_guard lock(mutex_);
  state_.records_all = true;
}

void WriteLog::settle_former(InodeId inode) {
  const LogRange everything{0, UINT64_MAX};
  add(make_record(LogKind::cut, inode), std::as_bytes(std::span(&everything, 1)));
  static_cast<void>(make_stable());
}

void WriteLog::settle_former() {
  begin();
  if (former_.segments.empty()) return;
  const std::uint64_t first = former_.last_sequence + 1;
  add(make_record(LogKind::settled, InodeId{}, first), {});
  if (make_stable()) remove_former_segments();
}

void WriteLog::remove_former() {
  remove_former_segments();
  file_ = {};
  const std::lock_guard lock(mutex_);
  state_.records_all = true;
  state_.failed = false;
  state_.stable = state_.last;
}

void WriteLog::remove_former_segments() {
  for (const std::filesystem::path& segment : former_.segments) {
    if (const Result<void> removed = remove(segment); !removed)
      return log_warn("client", "a part of the journal that is not needed stays: {}",
                      removed.error().to_string());
  }
  former_ = {};
}

void WriteLog::end() {
  tidy(Activity::idle);
  trim(true);
}

}  // namespace dfs
