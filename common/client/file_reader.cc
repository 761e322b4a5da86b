#include "common/client/file_reader.h"

#include <algorithm>
#include <cstring>

#include "common/base/log.h"
#include "common/client/extent_loader.h"
#include "common/client/wait.h"

namespace dfs {
namespace {

constexpr std::chrono::milliseconds kPause{100};

ChunkSlice slice_of(const InodeState& state, const ExtentMap::Range& range, std::byte* into) {
  return {range.source, static_cast<std::uint32_t>(range.source_offset),
          static_cast<std::uint32_t>(range.length), state.extents.least_length(range.source), into};
}

// [from, to) of the file from committed extents; `into` is where `from` goes.
void plan_committed_locked(const InodeState& state, std::uint64_t from, std::uint64_t to,
                           std::byte* into, std::vector<ChunkSlice>& wanted) {
  std::uint64_t at = from;
  state.extents.visit(from, to - from, [&](const ExtentMap::Range& range) {
    std::memset(into + (at - from), 0, range.offset - at);
    wanted.push_back(slice_of(state, range, into + (range.offset - from)));
    at = range.end();
  });
  std::memset(into + (at - from), 0, to - at);
}

// Copies what is dirty, zeroes what is a hole, lists the rest.
void plan_locked(const InodeState& state, std::uint64_t offset, MutableBuffer into,
                 std::vector<ChunkSlice>& wanted) {
  std::uint64_t at = offset;
  state.dirty.ranges().visit(offset, into.size(), [&](const DirtyFile::Range& range) {
    if (range.offset > at) {
      plan_committed_locked(state, at, range.offset, into.data() + (at - offset), wanted);
    }
    range.source->copy(range.source_offset, into.subspan(range.offset - offset, range.length));
    at = range.end();
  });
  const std::uint64_t end = offset + into.size();
  if (end > at) plan_committed_locked(state, at, end, into.data() + (at - offset), wanted);
}

bool same_chunks(const std::vector<ChunkSlice>& a, const std::vector<ChunkSlice>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const ChunkSlice& x, const ChunkSlice& y) {
                      return x.chunk == y.chunk && x.offset == y.offset && x.length == y.length;
                    });
}

}  // namespace

Result<std::size_t> FileReader::read(OpenFile& file, std::uint64_t offset, MutableBuffer into,
                                     Interrupt* interrupt) {
  return read(*file.state(), &file, offset, into, interrupt);
}

Result<std::size_t> FileReader::read(InodeState& state, std::uint64_t offset, MutableBuffer into,
                                     Interrupt* interrupt) {
  return read(state, nullptr, offset, into, interrupt);
}

Result<FileReader::Plan> FileReader::plan(InodeState& state, OpenFile* file, std::uint64_t offset,
                                          MutableBuffer into, Interrupt* interrupt) {
  for (;;) {
    std::uint64_t end = 0;
    {
      const std::lock_guard lock(state.mutex);
      if (state.gone) return fail(Errc::stale, "the file is gone");
      const std::uint64_t size = state.size_locked();
      Plan plan;
      if (offset >= size) return plan;
      plan.length = std::min<std::uint64_t>(into.size(), size - offset);
      end = offset + plan.length;
      if (state.extents_usable_locked(end)) {
        plan_locked(state, offset, into.first(plan.length), plan.wanted);
        if (file != nullptr && !file->options().direct) {
          const FileRange ahead = file->on_read(offset, plan.length, size);
          if (ahead.length > 0) {
            state.extents.visit(ahead.offset, ahead.length, [&](const ExtentMap::Range& range) {
              plan.ahead.push_back(slice_of(state, range, nullptr));
            });
          }
        }
        return plan;
      }
    }
    TRY(load_extents(parts_.meta, state, end, interrupt));
  }
}

Result<std::size_t> FileReader::read(InodeState& state, OpenFile* file, std::uint64_t offset,
                                     MutableBuffer into, Interrupt* interrupt) {
  const Caching caching =
      file != nullptr && file->options().direct ? Caching::direct : Caching::cached;
  const SteadyTime started = parts_.clock.now();
  for (;;) {
    const Plan plan = TRY(this->plan(state, file, offset, into, interrupt));
    if (plan.wanted.empty() && plan.ahead.empty()) return plan.length;
    const Result<void> result = parts_.chunks.read(plan.wanted, plan.ahead, caching, interrupt);
    if (result) return plan.length;

    const Errc code = result.error().code;
    const bool nowhere = code == Errc::not_found || code == Errc::corrupt || code == Errc::io;
    if (!nowhere && code != Errc::unavailable) return fail(result.error());
    // Somebody may have written the range again, and the old chunks are gone.
    const bool same = TRY(still_the_same(state, offset, plan.length, plan.wanted, interrupt));
    if (!same) continue;
    if (nowhere) {
      log_error("client", "inode {}: {} bytes at {} cannot be read: {}", state.inode.value(),
                plan.length, offset, result.error().to_string());
      return fail(Errc::io, result.error().text);
    }
    const SteadyTime now = parts_.clock.now();
    const bool soft = parts_.config.soft_timeout.count() > 0;
    if (soft && now - started >= parts_.config.soft_timeout) {
      return fail(Errc::timed_out, result.error().text);
    }
    std::unique_lock lock(state.mutex);
    const Wake wake = wait_until(lock, state.changed, {parts_.clock, interrupt, now + kPause},
                                 [] { return false; });
    if (wake == Wake::interrupted) return fail(Errc::interrupted, "reading");
  }
}

Result<bool> FileReader::still_the_same(InodeState& state, std::uint64_t offset,
                                        std::size_t length, const std::vector<ChunkSlice>& wanted,
                                        Interrupt* interrupt) {
  {
    const std::lock_guard lock(state.mutex);
    state.forget_contents_locked();
  }
  TRY(load_extents(parts_.meta, state, offset + length, interrupt));
  const std::lock_guard lock(state.mutex);
  if (!state.extents_usable_locked(offset + length)) return false;
  std::vector<ChunkSlice> now;
  std::vector<std::byte> scratch(length);
  plan_locked(state, offset, scratch, now);
  return same_chunks(wanted, now);
}

}  // namespace dfs
