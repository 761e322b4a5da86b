#include "common/rpc/put_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "common/rpc/protocol.h"

namespace dfs {
namespace {

std::uint64_t total_size(const std::vector<BufferView>& pieces) {
  std::uint64_t size = 0;
  for (const BufferView& piece : pieces) size += piece.size();
  return size;
}

// The views of bytes [offset, offset + length) of `pieces`, one after another.
std::vector<BufferView> part_of(const std::vector<BufferView>& pieces, std::uint64_t offset,
                                std::uint64_t length) {
  std::vector<BufferView> part;
  for (const BufferView& piece : pieces) {
    if (length == 0) break;
    if (offset >= piece.size()) {
      offset -= piece.size();
      continue;
    }
    const std::uint64_t taken = std::min<std::uint64_t>(length, piece.size() - offset);
    part.push_back(piece.subspan(offset, taken));
    length -= taken;
    offset = 0;
  }
  return part;
}

std::uint32_t last_block_start(std::uint32_t length) {
  return (length - 1) / kBlockSize * kBlockSize;
}

}  // namespace

PutCall::PutCall(PutArgs put, std::vector<ForwardTarget> targets,
                 std::function<void(Result<PutOutcome>)> on_done)
    : args(std::move(put)),
      forward(std::move(targets)),
      done(std::move(on_done)),
      asks(args.resume),
      memory(std::make_shared<char>()) {}

bool PutCall::memory_is_free() const {
  if (memory.use_count() > 1) return false;
  // gRPC's last reads of the memory come before its release of `memory`; what
  // the owner does with it next comes after this: whoever lets go of a share has seen
  // what others did before they let go of theirs. A fence would do, but the thread
  // sanitizer knows none.
  std::shared_ptr share = memory;
  share.reset();
  return true;
}

Result<void> PutQueue::add(const PutCallPtr& call) {
  const std::uint64_t length = total_size(call->args.pieces);
  if (length == 0 || length > kChunkSizeMax)
    return fail(Errc::invalid, fmt::format("a chunk of {} bytes", length));
  if (call->args.checksums.size() != block_count(length))
    return fail(Errc::invalid, "a chunk needs one checksum for each of its blocks");
  call->length = static_cast<std::uint32_t>(length);
  if (!calls_.emplace(call->args.chunk, call).second)
    return fail(Errc::busy, to_string(call->args.chunk) + " is being sent already");
  to_send_.push_back(call);
  return {};
}

bool PutQueue::next_frame(grpc::ByteBuffer& frame, std::optional<StreamGreeting> greeting,
                          SteadyTime now) {
  if (to_send_.empty() || in_flight_ >= window_bytes_) return false;
  PutCall& call = *to_send_.front();
  call.last_progress = now;
  frame = encode_part(call, std::move(greeting));
  if (call.asks || call.sent == call.length) to_send_.pop_front();
  return true;
}

grpc::ByteBuffer PutQueue::encode_part(PutCall& call, std::optional<StreamGreeting> greeting) {
  PutPart part;
  part.greeting = std::move(greeting);
  part.chunk = call.args.chunk;
  part.length = call.length;
  part.offset = call.sent;
  part.query = call.asks;
  if (!std::exchange(call.described, true) || call.sent == 0) {
    part.epoch = call.args.epoch;
    part.forward = call.forward;
    part.sync = call.args.sync;
    part.capability = call.args.capability;
    part.inode = call.args.inode;
    part.file_offset = call.args.file_offset;
    part.written = call.args.written;
    part.scattered = call.args.scattered;
    part.session = call.args.session;
  }
  if (call.asks) {
    call.asked = true;
    return encode(part);
  }
  const std::uint32_t size = std::min(kFrameBytesMax, call.length - call.sent);
  const auto first_block = call.args.checksums.begin() + call.sent / kBlockSize;
  part.checksums.assign(first_block, first_block + block_count(size));
  const std::vector<BufferView> payload = part_of(call.args.pieces, call.sent, size);
  call.sent += size;
  in_flight_ += size;
  return encode(part, payload, call.memory);
}

Result<std::optional<PutQueue::Finished>> PutQueue::take_answer(PutAnswer&& answer,
                                                                SteadyTime now) {
  std::optional<Finished> finished;
  const auto found = calls_.find(answer.chunk);
  if (found == calls_.end()) return finished;
  const PutCallPtr call = found->second;
  if (answer.have > call->length)
    return fail(Errc::bad_message, "the server has more of a chunk than there is");
  call->last_progress = now;

  if (answer.error || answer.done) {
    remove(*call);
    if (answer.error)
      finished.emplace(Finished{call, fail(std::move(*answer.error))});
    else
      finished.emplace(Finished{call, std::move(answer.outcome)});
    return finished;
  }
  if (call->asks && call->asked) {
    // Even if all is there, the last block is sent again: it asks for `done`.
    call->asks = false;
    call->sent = call->acknowledged =
        std::min(answer.have / kBlockSize * kBlockSize, last_block_start(call->length));
    to_send_.push_front(call);
    return finished;
  }
  const std::uint32_t acknowledged = std::min(answer.have, call->sent);
  if (acknowledged > call->acknowledged) {
    in_flight_ -= acknowledged - call->acknowledged;
    call->acknowledged = acknowledged;
  }
  return finished;
}

void PutQueue::remove(const PutCall& call) {
  in_flight_ -= call.sent - call.acknowledged;
  std::erase_if(to_send_, [&](const PutCallPtr& queued) { return queued.get() == &call; });
  calls_.erase(call.args.chunk);
}

std::vector<PutCallPtr> PutQueue::take_all() {
  std::vector<PutCallPtr> all;
  all.reserve(calls_.size());
  for (auto& [chunk, call] : calls_) all.push_back(std::move(call));
  calls_.clear();
  to_send_.clear();
  in_flight_ = 0;
  return all;
}

std::vector<PutCallPtr> PutQueue::take_stuck(SteadyTime then) {
  std::vector<PutCallPtr> stuck;
  for (const auto& [chunk, call] : calls_) {
    const bool begun = call->sent > 0 || call->asked;
    if (begun && call->last_progress < then) stuck.push_back(call);
  }
  for (const PutCallPtr& call : stuck) remove(*call);
  return stuck;
}

}  // namespace dfs
