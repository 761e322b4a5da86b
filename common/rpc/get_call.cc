#include "common/rpc/get_call.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/checksum.h"

namespace dfs {

GetCall::GetCall(std::vector<GetArgs> ranges, Done done)
    : ranges_(std::move(ranges)), progress_(ranges_.size()), done_(std::move(done)) {}

GetQuestion GetCall::question(std::uint64_t id) const {
  GetQuestion question;
  question.id = id;
  question.local = local;
  question.ranges.reserve(ranges_.size());
  for (const GetArgs& range : ranges_)
    question.ranges.push_back({range.chunk, range.offset, range.length});
  return question;
}

Result<std::optional<GetCall::LocalPart>> GetCall::take_part(const GetPart& part,
                                                             const FramePayload& payload) {
  if (part.range >= ranges_.size())
    return fail(Errc::bad_message, "an answer is for a range that was not asked for");
  const GetArgs& range = ranges_[part.range];
  Progress& progress = progress_[part.range];
  if (part.error) {
    fail_range(progress, *part.error);
    return std::nullopt;
  }
  if (part.place && !local)
    return fail(Errc::bad_message, "an answer names a file although none was asked for");
  const std::size_t size = part.place ? part.place->length : payload.size();
  if (size == 0) return std::nullopt;  // only says `last`
  if (part.offset != range.offset + progress.received || size > range.length - progress.received)
    return fail(Errc::bad_message, "the parts of an answer are out of order");

  std::byte* const target = range.into + progress.received;
  progress.received += static_cast<std::uint32_t>(size);
  if (part.place) {
    ++local_reads_;
    return LocalPart{part.range, {*part.place, part.checksums, target}};
  }
  payload.copy_to(target);
  const BufferView bytes{target, size};
  const bool holds =
      part.whole_blocks
          ? checksums_hold(bytes, part.checksums.data(), part.checksums.size())
          : checksum_of(bytes) == part.checksums.front();
  if (!holds)
    fail_range(progress, {Errc::corrupt,
                          fmt::format("bytes of {} from offset {} do not match their checksum",
                                      to_string(range.chunk), part.offset)});
  return std::nullopt;
}

void GetCall::fail_range(Progress& progress, Error error) {
  if (progress.failed) return;
  progress.failed = true;
  progress.error = std::move(error);
}

void GetCall::took_local(std::size_t range, const Result<void>& result) {
  --local_reads_;
  if (!result) progress_[range].not_in_file = true;
}

void GetCall::end(const Error& why) {
  if (!why_) why_ = why;
}

std::vector<Result<void>> GetCall::results() {
  std::vector<Result<void>> results(ranges_.size());
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    if (progress_[i].failed)
      results[i] = fail(std::move(progress_[i].error));
    else if (progress_[i].received != ranges_[i].length)
      results[i] = fail(*why_);
  }
  return results;
}

GetCallPtr GetCall::rest() {
  std::vector<std::size_t> indexes;
  std::vector<GetArgs> ranges;
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    if (!progress_[i].not_in_file || progress_[i].failed) continue;
    indexes.push_back(i);
    ranges.push_back(ranges_[i]);
  }
  if (ranges.empty()) return nullptr;
  auto call = std::make_shared<GetCall>(
      std::move(ranges), [done = std::move(done_), results = results(), indexes = std::move(indexes)](
                             std::vector<Result<void>> answers) mutable {
        for (std::size_t i = 0; i < indexes.size(); ++i)
          results[indexes[i]] = std::move(answers[i]);
        done(std::move(results));
      });
  call->local = false;
  return call;
}

void GetCall::finish() { done_(results()); }

}  // namespace dfs
