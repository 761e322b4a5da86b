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
  question.ranges.reserve(ranges_.size());
  for (const GetArgs& range : ranges_)
    question.ranges.push_back({range.chunk, range.offset, range.length});
  return question;
}

Result<void> GetCall::take_part(const GetPart& part, const FramePayload& payload) {
  if (part.range >= ranges_.size())
    return fail(Errc::bad_message, "an answer is for a range that was not asked for");
  const GetArgs& range = ranges_[part.range];
  Progress& progress = progress_[part.range];
  if (part.error) {
    progress.failed = true;
    progress.error = *part.error;
    return {};
  }
  const std::size_t size = payload.size();
  if (size == 0) return {};  // only says `last`
  if (part.offset != range.offset + progress.received || size > range.length - progress.received)
    return fail(Errc::bad_message, "the parts of an answer are out of order");

  std::byte* const target = range.into + progress.received;
  payload.copy_to(target);
  const BufferView bytes{target, size};
  progress.received += static_cast<std::uint32_t>(size);
  const bool holds =
      part.whole_blocks
          ? checksums_hold(bytes, part.checksums.data(), part.checksums.size())
          : checksum_of(bytes) == part.checksums.front();
  if (!holds && !progress.failed) {
    progress.failed = true;
    progress.error = {Errc::corrupt,
                      fmt::format("bytes of {} from offset {} do not match their checksum",
                                  to_string(range.chunk), part.offset)};
  }
  return {};
}

void GetCall::finish(const Error& why) {
  std::vector<Result<void>> results(ranges_.size());
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    if (progress_[i].failed)
      results[i] = fail(std::move(progress_[i].error));
    else if (progress_[i].received != ranges_[i].length)
      results[i] = fail(why);
  }
  done_(std::move(results));
}

}  // namespace dfs
