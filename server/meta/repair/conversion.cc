#include "server/meta/repair/conversion.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/log.h"
#include "server/meta/ops/conversions.h"
#include "server/meta/ops/extent_map.h"
#include "server/meta/ops/missing_copies.h"
#include "server/meta/repair/copy_queue.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

constexpr InodeId kBehindAll{UINT64_MAX};
// Of one file: exchanged in a millisecond or two.
constexpr std::size_t kExtentsPerWindow = 512;
constexpr std::size_t kChunksPerWindow = 64;
constexpr std::uint64_t kBytesPerWindow = 256 * MiB;
// In one step.
constexpr std::size_t kRowsPerStep = 256;
constexpr auto kSliceTime = 3ms;

constexpr auto kRetryCopyAfter = 10s;
constexpr auto kRetryFileAfter = 60s;
constexpr auto kRetryAllocationAfter = 5s;
// Then other servers may do better.
constexpr std::size_t kFailuresMax = 6;
constexpr std::size_t kPutOffMax = 4'096;
constexpr std::size_t kTwinsAtOnce = 512;

}  // namespace

// --- what servers do -------------------------------------------------------------------

void Conversion::add_tasks(ServerId server, std::vector<CopyTask>& tasks) const {
  std::uint64_t bytes = 0;
  for (const CopyTask& task : tasks) bytes += task.length;
  const SteadyTime now = clock_.now();
  for (const auto& [key, copy] : copies_) {
    if (tasks.size() >= CopyQueue::kTasksMax || bytes >= CopyQueue::kBytesMax) return;
    if (copy.is_twin || copy.stable_on.contains(server)) continue;
    const GroupMember* member = cluster_.member(copy.made.group(), server);
    if (member == nullptr || member->state == MemberState::leaving) continue;
    const auto waits = copy.not_before.find(server);
    if (waits != copy.not_before.end() && now < waits->second) continue;
    bytes += copy.length;
    tasks.push_back({.chunk = copy.made, .sources = {}, .length = copy.length, .from = key.first});
  }
}

bool Conversion::copied(ServerId server, ChunkId chunk) {
  const auto found = by_made_.find(chunk);
  if (found == by_made_.end()) return false;
  copies_.at(found->second).stable_on.insert(server);
  return true;
}

bool Conversion::failed(ServerId server, const CopyFailure& failure) {
  const auto found = by_made_.find(failure.chunk);
  if (found == by_made_.end()) return false;
  Copy& copy = copies_.at(found->second);
  ++copy.failures;
  copy.trouble = fmt::format("storage server {} cannot copy chunk {}: {}", server.value(),
                             to_string(found->second.first), failure.why);
  copy.not_before[server] = clock_.now() + kRetryCopyAfter;
  return true;
}

bool Conversion::is_ready(const CopyKey& key, const Copy& copy) const {
  if (copy.is_twin) return true;
  const auto group = cluster_.groups().find(copy.made.group());
  if (group == cluster_.groups().end()) return false;
  std::uint32_t count = 0;
  for (const GroupMember& member : group->second.group.members) {
    if (member.state == MemberState::leaving) continue;
    if (copy.stable_on.contains(member.server))
      ++count;
    else if (cluster_.nodes().is_alive(member.server))
      return false;
  }
  const std::uint32_t before = cluster_.replicas_of(key.first.group());
  return count >= std::max(1u, std::min(before, key.second));
}

bool Conversion::is_ready(const Window& window) const {
  return std::all_of(window.wrong.begin(), window.wrong.end(), [&](ChunkId chunk) {
    const CopyKey key{chunk, window.replicas};
    return is_ready(key, copies_.at(key));
  });
}

bool Conversion::is_hopeless(const Window& window) const {
  return std::any_of(window.wrong.begin(), window.wrong.end(), [&](ChunkId chunk) {
    return copies_.at({chunk, window.replicas}).failures >= kFailuresMax;
  });
}

// --- step --------------------------------------------------------------------------------

Result<bool> Conversion::step(Transaction& txn, const OperationContext& context) {
  const bool ended_all = end_some(txn, context);
  const bool begun_all = TRY(begin_some(txn, context));
  const bool purged_all = TRY(purge_twins(txn, context.totals));
  const bool ready = std::any_of(windows_.begin(), windows_.end(),
                                 [&](const auto& entry) { return is_ready(entry.second); });
  return !ended_all || !begun_all || !purged_all || ready;
}

void Conversion::refused() {
  windows_.clear();
  copies_.clear();
  by_made_.clear();
  copying_bytes_ = 0;
  may_have_twins_ = true;
}

// --- beginning ---------------------------------------------------------------------------

// False: time is up, and there is more.
Result<bool> Conversion::begin_some(Transaction& txn, const OperationContext& context) {
  const SteadyTime start = clock_.now();
  if (start < allocate_at_) return true;
  stuck_.clear();
  if (context.totals.conversions == 0) return true;
  bool goes_on = false;  // with a file that has nothing to be copied so far
  const auto rows = TRY(txn.rows<tables::Conversions>(next_, kBehindAll, kRowsPerStep));
  for (const auto& row : rows) {
    const bool full = windows_.size() >= kWindowsMax || copies_.size() >= kCopiesMax ||
                      copying_bytes_ >= kBytesMax;
    if (full) return true;
    next_ = InodeId{row.key.value() + 1};
    if (windows_.contains(row.key) || is_put_off(row.key)) continue;
    const OperationMark mark = mark_operation(context);
    txn.begin_operation();
    const auto begun = begin(txn, context, row.key);
    if (!begun) {
      undo_operation(txn, context, mark);
      forget_unused();
      put_off(row.key, begun.error().to_string());
    }
    goes_on = goes_on || (begun && *begun == Begun::goes_on);
    if (start < allocate_at_) {
      next_ = row.key;
      return true;
    }
    if (clock_.now() - start > kSliceTime) return false;
  }
  if (rows.size() == kRowsPerStep) return false;
  next_ = InodeId{};
  return !goes_on;
}

Result<Conversion::Begun> Conversion::begin(Transaction& txn, const OperationContext& context, InodeId inode) {
  std::optional<Window> window = TRY(next_window(txn, inode));
  if (!window) {
    TRY(ops::forget_conversion(txn, context.totals, inode));
    return Begun::waits;
  }
  if (window->wrong.empty()) {
    TRY(exchange(txn, context, inode, *window));
    return window->is_last ? Begun::waits : Begun::goes_on;
  }
  if (const auto room = context.room == nullptr ? Result<void>() : context.room->check(); !room) {
    stuck_ = room.error().text;
    allocate_at_ = clock_.now() + kRetryAllocationAfter;
    return Begun::waits;
  }
  TRY(find_copies(txn, *window));
  if (!stuck_.empty()) return Begun::waits;
  for (const ChunkId chunk : window->wrong) ++copies_.at({chunk, window->replicas}).windows;
  windows_.emplace(inode, std::move(*window));
  return Begun::waits;
}

// Nothing: the file has nothing more to look at.
Result<std::optional<Conversion::Window>> Conversion::next_window(Transaction& txn,
                                                                  InodeId inode) {
  const ConversionRecord* row = TRY(txn.find<tables::Conversions>(inode));
  const InodeRecord* file = TRY(txn.find<tables::Inodes>(inode));
  if (row == nullptr || file == nullptr || !file->is_regular()) return std::nullopt;
  Window window;
  window.from = window.to = row->position;
  window.replicas = file->replicas;
  const auto extents = TRY(txn.rows<tables::Extents>({inode, row->position},
                                                     {inode, kFileSizeMax}, kExtentsPerWindow));
  if (extents.empty()) return std::nullopt;
  window.is_last = extents.size() < kExtentsPerWindow;
  std::uint64_t copied = 0;
  for (const auto& extent : extents) {
    const ChunkId chunk = extent.record.chunk;
    const std::uint32_t replicas = cluster_.replicas_of(chunk.group());
    const bool is_wrong = replicas != 0 && replicas != window.replicas;
    if (is_wrong && !window.wrong.contains(chunk)) {
      const bool full = window.wrong.size() >= kChunksPerWindow || copied >= kBytesPerWindow;
      if (full) {
        window.is_last = false;
        break;
      }
      const ChunkRecord* used = TRY(txn.find<tables::Chunks>(chunk));
      if (used == nullptr)
        return fail(Errc::corrupt, "an extent names chunk " + to_string(chunk) + ", which has no row");
      copied += used->length;
      window.wrong.insert(chunk);
    }
    window.to = extent.key.offset + extent.record.length;
    window.bytes += extent.record.length;
  }
  return window;
}

// A place for a copy of each chunk of the window. If none can be had, stuck_ says why.
Result<void> Conversion::find_copies(Transaction& txn, const Window& window) {
  std::vector<CopyKey> wanted;
  std::uint64_t longest = 0;
  for (const ChunkId chunk : window.wrong) {
    const CopyKey key{chunk, window.replicas};
    if (copies_.contains(key)) continue;
    const bool has_twin = TRY(find_twin(txn, key));
    if (has_twin) continue;
    const ChunkRecord* used = TRY(txn.find<tables::Chunks>(chunk));
    longest = std::max<std::uint64_t>(longest, used->length);
    wanted.push_back(key);
  }
  if (wanted.empty()) return {};
  const Policy policy{window.replicas, static_cast<std::uint32_t>(longest)};
  AllocateArgs args;
  args.count = static_cast<std::uint32_t>(wanted.size());
  // An error leaves the groups that it made, which are good: nothing is undone.
  const auto allocated = cluster_.allocate(txn, policy, args);
  if (!allocated) {
    stuck_ = allocated.error().text;
    allocate_at_ = clock_.now() + kRetryAllocationAfter;
    forget_unused();
    return {};
  }
  auto next = wanted.begin();
  for (const ChunkRange& range : allocated->ranges) {
    for (std::uint32_t i = 0; i < range.count && next != wanted.end(); ++i, ++next) {
      const ChunkRecord* used = TRY(txn.find<tables::Chunks>(next->first));
      Copy copy;
      copy.made = ChunkId{range.first.value() + i};
      copy.length = used->length;
      by_made_.emplace(copy.made, *next);
      copying_bytes_ += copy.length;
      copies_.emplace(*next, std::move(copy));
    }
  }
  return {};
}

// Copies that were to be begun for a window that was not.
void Conversion::forget_unused() {
  for (auto next = copies_.begin(); next != copies_.end();) {
    const auto entry = next++;
    if (entry->second.windows == 0) forget(entry);
  }
}

void Conversion::forget(Copies::iterator entry) {
  const Copy& copy = entry->second;
  if (!copy.is_twin) {
    by_made_.erase(copy.made);
    copying_bytes_ -= copy.length;
  }
  copies_.erase(entry);
}

Result<bool> Conversion::find_twin(Transaction& txn, const CopyKey& key) {
  const TwinRecord* twin = TRY(txn.find<tables::Twins>(key.first));
  if (twin == nullptr || cluster_.replicas_of(twin->chunk.group()) != key.second) return false;
  const ChunkId made = twin->chunk;
  const ChunkRecord* used = TRY(txn.find<tables::Chunks>(made));
  if (used == nullptr) return false;
  Copy copy;
  copy.made = made;
  copy.is_twin = true;
  copies_.emplace(key, std::move(copy));
  return true;
}

// --- ending --------------------------------------------------------------------------------

// False: time is up, and there is more.
bool Conversion::end_some(Transaction& txn, const OperationContext& context) {
  const SteadyTime start = clock_.now();
  for (auto next = windows_.begin(); next != windows_.end();) {
    const auto entry = next++;
    const auto& [inode, window] = *entry;
    const bool ready = is_ready(window);
    if (!ready && !is_hopeless(window)) continue;
    if (clock_.now() - start > kSliceTime) return false;
    const OperationMark mark = mark_operation(context);
    txn.begin_operation();
    Result<void> done = ready ? exchange(txn, context, inode, window) : drop(txn, context, window);
    if (!done) undo_operation(txn, context, mark);
    if (!ready) put_off(inode, "some of its chunks cannot be copied");
    if (!done) put_off(inode, done.error().to_string());
    release(window);
    windows_.erase(entry);
  }
  return true;
}

Result<void> Conversion::exchange(Transaction& txn, const OperationContext& context, InodeId inode,
                                  const Window& window) {
  const ConversionRecord* row = TRY(txn.find<tables::Conversions>(inode));
  const InodeRecord* file = TRY(txn.find<tables::Inodes>(inode));
  const bool stands = row != nullptr && file != nullptr && row->position == window.from &&
                      file->replicas == window.replicas;
  if (!stands) return drop(txn, context, window);
  ConversionRecord left = *row;

  const auto extents = TRY(txn.rows<tables::Extents>({inode, window.from}, {inode, window.to},
                                                     2 * kExtentsPerWindow));
  const bool all = extents.size() < 2 * kExtentsPerWindow;
  ops::ChunkReferences references;
  std::set<ChunkId> found;
  std::uint64_t exchanged = 0;
  for (const auto& extent : extents) {
    const ChunkId chunk = extent.record.chunk;
    if (!window.wrong.contains(chunk)) continue;
    ExtentRecord now = extent.record;
    now.chunk = copies_.at({chunk, window.replicas}).made;
    txn.put<tables::Extents>(extent.key, now);
    references.add(now.chunk, now.chunk_offset + now.length);
    references.drop(chunk);
    found.insert(chunk);
    exchanged += now.length;
  }
  TRY(references.apply(txn, context));
  TRY(name_new_chunks(txn, context, window, found));

  left.position = all ? window.to : extents.back().key.offset + extents.back().record.length;
  left.bytes -= std::min(left.bytes, window.bytes);
  if (window.is_last && all)
    TRY(ops::forget_conversion(txn, context.totals, inode));
  else
    TRY(ops::advance_conversion(txn, context.totals, inode, left));
  rate_.add(exchanged, clock_.now());
  return {};
}

// What belongs to new chunks besides the extents; `found` are the old ones
// that the file still named.
Result<void> Conversion::name_new_chunks(Transaction& txn, const OperationContext& context,
                                         const Window& window, const std::set<ChunkId>& found) {
  ops::ChunkReferences unused;
  for (const ChunkId chunk : window.wrong) {
    const Copy& copy = copies_.at({chunk, window.replicas});
    if (!found.contains(chunk)) {
      if (!copy.is_twin && copy.windows == 1) unused.mention(copy.made, copy.length);
      continue;
    }
    if (copy.is_twin) {
      const ChunkRecord* used = TRY(txn.find<tables::Chunks>(chunk));
      if (used == nullptr) cluster_.hold_garbage(chunk);
      continue;
    }
    const auto group = cluster_.groups().find(copy.made.group());
    for (const GroupMember& member : group->second.group.members)
      if (member.state != MemberState::leaving && !copy.stable_on.contains(member.server))
        TRY(ops::note_missing(txn, context.totals, member.server, copy.made, copy.length));
    const ChunkRecord* still_used = TRY(txn.find<tables::Chunks>(chunk));
    if (still_used == nullptr) {
      cluster_.hold_garbage(chunk);
      continue;
    }
    txn.put<tables::Twins>(chunk, {copy.made});
    may_have_twins_ = true;
  }
  return unused.apply(txn, context);
}

// The window is not exchanged: what was copied for it alone is garbage.
Result<void> Conversion::drop(Transaction& txn, const OperationContext& context,
                              const Window& window) {
  return name_new_chunks(txn, context, window, {});
}

void Conversion::release(const Window& window) {
  for (const ChunkId chunk : window.wrong) {
    const auto found = copies_.find({chunk, window.replicas});
    if (--found->second.windows == 0) forget(found);
  }
}

void Conversion::put_off(InodeId inode, const std::string& why) {
  const SteadyTime now = clock_.now();
  log_warn("repair", "the chunks of inode {} are not brought to another number of copies now: {}",
           inode.value(), why);
  put_off_because_ = fmt::format("inode {}: {}", inode.value(), why);
  if (put_off_.size() >= kPutOffMax)
    std::erase_if(put_off_, [&](const auto& entry) { return entry.second <= now; });
  if (put_off_.size() < kPutOffMax) put_off_[inode] = now + kRetryFileAfter;
}

bool Conversion::is_put_off(InodeId inode) const {
  const auto found = put_off_.find(inode);
  return found != put_off_.end() && clock_.now() < found->second;
}

// Nothing is left for which a copy might be shared. False: there is more.
Result<bool> Conversion::purge_twins(Transaction& txn, const Totals& totals) {
  if (!may_have_twins_ || totals.walks > 0 || totals.conversions > 0) return true;
  const auto rows = TRY(txn.rows<tables::Twins>(ChunkId{}, ChunkId{UINT64_MAX}, kTwinsAtOnce));
  for (const auto& row : rows) txn.erase<tables::Twins>(row.key);
  may_have_twins_ = rows.size() == kTwinsAtOnce;
  return !may_have_twins_;
}

// --- what people are told --------------------------------------------------------------------

ConversionStatus Conversion::status(const Totals& totals) const {
  ConversionStatus status;
  status.directories = totals.walks;
  status.files = totals.conversions;
  status.bytes = totals.conversion_bytes;
  status.bytes_per_second = rate_.per_second(clock_.now());
  if (status.bytes_per_second > 0 && status.files > 0)
    status.seconds_left = status.bytes / status.bytes_per_second + 1;
  return status;
}

std::vector<std::string> Conversion::notes(const Totals& totals) const {
  std::vector<std::string> notes;
  if (totals.conversions == 0) return notes;
  if (!stuck_.empty())
    notes.push_back(fmt::format("no chunk can be brought to another number of copies: {}", stuck_));
  const SteadyTime now = clock_.now();
  const auto waiting = std::count_if(put_off_.begin(), put_off_.end(),
                                     [&](const auto& entry) { return now < entry.second; });
  if (waiting > 0)
    notes.push_back(fmt::format("{} files wait to be brought to another number of copies ({})",
                                waiting, put_off_because_));
  std::size_t troubled = 0;
  const std::string* trouble = nullptr;
  for (const auto& [key, copy] : copies_) {
    if (copy.trouble.empty()) continue;
    ++troubled;
    trouble = &copy.trouble;
  }
  if (troubled > 0)
    notes.push_back(fmt::format("{} chunks cannot be copied for another number of copies now ({})",
                                troubled, *trouble));
  return notes;
}

}  // namespace dfs
