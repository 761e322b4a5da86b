#include "common/client/read_ahead.h"

#include <algorithm>

namespace dfs {

ReadAhead::Stream* ReadAhead::find(std::uint64_t offset, std::uint64_t end) {
  for (Stream& stream : streams_) {
    if (stream.used_at == 0) continue;
    const bool near_next = offset <= stream.next + kSlack && offset + kSlack >= stream.next;
    // Until it has gone on exactly once, being near is chance.
    const bool goes_on = stream.window > 0 ? near_next && end + kSlack > stream.next
                                           : offset == stream.next;
    if (goes_on) return &stream;
  }
  return nullptr;
}

ReadAhead::Stream& ReadAhead::replace_oldest() {
  Stream& oldest = *std::min_element(
      streams_.begin(), streams_.end(),
      [](const Stream& a, const Stream& b) { return a.used_at < b.used_at; });
  oldest = Stream{};
  return oldest;
}

FileRange ReadAhead::on_read(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  const std::uint64_t end = offset + length;
  ++reads_;
  Stream* stream = find(offset, end);
  const bool known = stream != nullptr;
  if (!known) stream = &replace_oldest();
  stream->used_at = reads_;
  stream->next = std::max(stream->next, end);
  const bool sequential = known || offset == 0;
  if (!sequential) return {};

  if (stream->window == 0) stream->window = std::min(kFirstWindow, window_max_);
  stream->ahead_end = std::max(stream->ahead_end, stream->next);
  const std::uint64_t left = stream->ahead_end - stream->next;
  if (left > stream->window / 2 || stream->ahead_end >= size) return {};

  const std::uint64_t from = stream->ahead_end;
  stream->ahead_end = std::min(size, stream->next + stream->window);
  // Whole requests: cut at multiples of 1 MiB unless the file ends.
  const std::uint64_t cut = stream->ahead_end / kFirstWindow * kFirstWindow;
  if (stream->ahead_end < size && cut > from) stream->ahead_end = cut;
  stream->window = std::min(stream->window * 2, window_max_);
  if (stream->ahead_end <= from) return {};
  return {from, stream->ahead_end - from};
}

}  // namespace dfs
