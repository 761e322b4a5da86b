#include "common/client/access_times.h"

#include <algorithm>

namespace dfs {
namespace {

constexpr WallNanos kDay = WallNanos{24} * 3600 * 1'000'000'000;

bool counts(const Attributes& seen, WallNanos wall) {
  return seen.atime <= seen.mtime || seen.atime <= seen.ctime || wall - seen.atime >= kDay;
}

}  // namespace

AccessTimes::Noted AccessTimes::note(const Attributes& seen, WallNanos wall, SteadyTime now) {
  if (!counts(seen, wall)) return Noted::no;
  Attributes shown = seen;
  return state_.with([&](State& state) {
    show(state.sent, shown);
    show(state.waiting, shown);
    if (!counts(shown, wall)) return Noted::no;
    // Clocks of several machines never agree, but who reads comes after the
    // change that he sees. Else each read would count while ours is behind.
    const WallNanos accessed = std::max(wall, shown.ctime + 1);

    const auto found = state.waiting.find(seen.inode);
    if (found != state.waiting.end()) {
      Moved& moved = found->second;
      if (moved.accessed != shown.atime) moved.seen = shown.atime;
      moved.accessed = accessed;
      return Noted::yes;
    }
    if (state.waiting.size() >= kWaitingMax) return Noted::no;
    if (state.waiting.empty()) state.waiting_since = now;
    state.waiting.emplace(seen.inode, Moved{shown.atime, accessed});
    look_whether_any(state);
    const bool wakes =
        state.waiting.size() == 1 || state.waiting.size() == kAccessTimesPerTouchMax;
    return wakes ? Noted::yes_and_wake : Noted::yes;
  });
}

void AccessTimes::show(const Table& table, Attributes& attributes) {
  const auto found = table.find(attributes.inode);
  if (found == table.end() || found->second.seen != attributes.atime) return;
  attributes.atime = found->second.accessed;
}

void AccessTimes::show(Attributes& attributes) const {
  if (empty()) return;
  state_.with([&](const State& state) {
    show(state.sent, attributes);
    show(state.waiting, attributes);
  });
}

void AccessTimes::forget(InodeId inode) {
  if (empty()) return;
  state_.with([&](State& state) {
    state.waiting.erase(inode);
    state.sent.erase(inode);
    look_whether_any(state);
  });
}

TouchArgs AccessTimes::take_message(State& state) {
  TouchArgs message;
  message.times.reserve(std::min(state.waiting.size(), kAccessTimesPerTouchMax));
  while (!state.waiting.empty() && message.times.size() < kAccessTimesPerTouchMax) {
    const auto next = state.waiting.begin();
    const auto& [inode, moved] = *next;
    message.times.push_back({inode, moved.seen, moved.accessed});
    // On the way already, and moved again: what was told before shows the newest.
    const auto [sent, is_new] = state.sent.emplace(inode, moved);
    if (!is_new) sent->second.accessed = moved.accessed;
    state.waiting.erase(next);
  }
  ++state.unanswered;
  return message;
}

std::optional<TouchArgs> AccessTimes::take_due(SteadyTime noted_before) {
  return state_.with([&](State& state) -> std::optional<TouchArgs> {
    if (state.waiting.empty() || state.unanswered > 0) return std::nullopt;
    const bool full = state.waiting.size() >= kAccessTimesPerTouchMax;
    if (!full && state.waiting_since > noted_before) return std::nullopt;
    return take_message(state);
  });
}

std::optional<TouchArgs> AccessTimes::take() {
  return state_.with([&](State& state) -> std::optional<TouchArgs> {
    if (state.waiting.empty()) return std::nullopt;
    return take_message(state);
  });
}

void AccessTimes::answered(bool taken) {
  state_.with([&](State& state) {
    --state.unanswered;
    if (!taken) state.refused = true;
  });
}

std::vector<AccessTime> AccessTimes::settled() const {
  return state_.with([&](const State& state) {
    std::vector<AccessTime> result;
    if (state.unanswered > 0 || state.refused) return result;
    result.reserve(state.sent.size());
    for (const auto& [inode, moved] : state.sent)
      result.push_back({inode, moved.seen, moved.accessed});
    return result;
  });
}

void AccessTimes::drop_settled() {
  state_.with([&](State& state) {
    if (state.unanswered > 0) return;
    state.refused = false;
    state.sent.clear();
    look_whether_any(state);
  });
}

}  // namespace dfs
