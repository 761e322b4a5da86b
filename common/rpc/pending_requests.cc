#include "common/rpc/pending_requests.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <utility>

#include "common/rpc/convert.h"
#include "common/rpc/protocol.h"

namespace dfs {
namespace {

using google::protobuf::io::CodedOutputStream;

// A frame takes no further request beyond this.
constexpr std::size_t kFrameBytesWanted = 512 << 10;

// Fields of proto/dfs/v1/meta.proto, as their tags on the wire: frames are put
// together from requests that were encoded where they were made.
constexpr char kFrameRequests = 0x12;         // ClientFrame.requests = 2, length-delimited
constexpr char kFrameAnsweredThrough = 0x18;  // ClientFrame.answered_through = 3, varint
constexpr char kRequestId = 0x08;             // Request.id = 1, varint
constexpr char kRequestSequence = 0x10;       // Request.sequence = 2, varint

void append_varint(std::string& to, std::uint64_t value) {
  std::uint8_t buffer[10];
  const std::uint8_t* end = CodedOutputStream::WriteVarint64ToArray(value, buffer);
  to.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(end - buffer));
}

void append_number(std::string& to, char tag, std::uint64_t value) {
  to.push_back(tag);
  append_varint(to, value);
}

SessionId session_of(const MetaArgs& args) {
  const auto* commit = std::get_if<CommitArgs>(&args);
  return commit != nullptr ? commit->session : SessionId{};
}

bool opens_inode(const MetaArgs& args) {
  if (const auto* create = std::get_if<CreateArgs>(&args)) return create->open;
  return std::holds_alternative<OpenArgs>(args);
}

}  // namespace

PendingRequest::PendingRequest(const MetaArgs& args, const Caller& caller)
    : is_mutation(dfs::is_mutation(args)),
      opens(opens_inode(args)),
      is_release(std::holds_alternative<ReleaseArgs>(args)),
      is_commit(std::holds_alternative<CommitArgs>(args)),
      only_under(session_of(args)) {
  v1::Request request;
  request.set_uid(caller.uid);
  request.set_gid(caller.gid);
  to_proto(args, request);
  request.SerializeToString(&encoded);
  if (!is_mutation || caller.operation == nullptr) return;
  operation = caller.operation->id();
  if (operation.table != nullptr) identity = identity_of(args);
}

Result<MetaResult> PendingRequest::take_answer() {
  if (failure) return fail(std::move(*failure));
  Result<MetaResult> answer = from_proto(std::move(response));
  if (!answer && answer.error().code == Errc::interrupted)
    return fail(Errc::bad_message, "the metadata server says that the call was interrupted");
  return answer;
}

void PendingRequests::add(PendingRequestPtr request) {
  take_former_sequence(*request);
  request->id = next_id_++;
  append_number(request->encoded, kRequestId, request->id);
  request->queued = true;
  unanswered_.emplace_hint(unanswered_.end(), request->id, request);
  queue_.push_back(std::move(request));
}

bool PendingRequests::next_frame(grpc::ByteBuffer& frame) {
  if (queue_.empty()) return false;
  std::string bytes;
  bytes.reserve(queue_.front()->encoded.size() + 64);
  std::size_t count = 0;
  while (!queue_.empty() && count < kRequestsPerFrameMax && bytes.size() < kFrameBytesWanted) {
    PendingRequest& request = *queue_.front();
    if (count > 0 && bytes.size() + request.encoded.size() > kMessageBytesMax / 2) break;
    if (request.is_mutation && request.sequence == 0) give_sequence(request);
    request.sent = true;
    request.queued = false;
    bytes.push_back(kFrameRequests);
    append_varint(bytes, request.encoded.size());
    bytes += request.encoded;
    queue_.pop_front();
    ++count;
  }
  append_number(bytes, kFrameAnsweredThrough, answered_through());
  const grpc::Slice slice(bytes);
  frame = grpc::ByteBuffer(&slice, 1);
  return true;
}

// Remembered before it is sent: a process that follows neither gives it to
// something else nor forgets what it was given to.
void PendingRequests::give_sequence(PendingRequest& request) {
  request.sequence = next_sequence_++;
  open_sequences_.insert(open_sequences_.end(), request.sequence);
  append_number(request.encoded, kRequestSequence, request.sequence);
  if (record_ != nullptr) record_->last_sequence = request.sequence;
  if (request.operation.table != nullptr)
    request.operation.table->record(request.operation.number, request.identity, request.sequence);
}

// A former process may have sent it already.
void PendingRequests::take_former_sequence(PendingRequest& request) {
  if (request.operation.table == nullptr) return;
  const auto former = request.operation.table->take(request.operation.number, request.identity);
  if (!former) return;
  request.sequence = *former;
  open_sequences_.insert(request.sequence);
  append_number(request.encoded, kRequestSequence, request.sequence);
}

void PendingRequests::remember_in(SessionMemo* record, OperationTable* operations) {
  record_ = record;
  operations_ = operations;
  if (record_ != nullptr) next_sequence_ = record_->last_sequence + 1;
}

std::uint64_t PendingRequests::answered_through() const {
  std::uint64_t open = open_sequences_.empty() ? next_sequence_ : *open_sequences_.begin();
  if (operations_ != nullptr) open = std::min(open, operations_->oldest().value_or(open));
  return open - 1;
}

void PendingRequests::settle_sequence(const PendingRequest& request) {
  if (request.sequence != 0) open_sequences_.erase(request.sequence);
}

PendingRequestPtr PendingRequests::take(std::uint64_t id) {
  const auto found = unanswered_.find(id);
  if (found == unanswered_.end() || !found->second->sent) return nullptr;
  PendingRequestPtr request = std::move(found->second);
  unanswered_.erase(found);
  // Queued again after a reconnect, and yet answered: the server still had it.
  if (request->queued) queue_.erase(std::find(queue_.begin(), queue_.end(), request));
  settle_sequence(*request);
  return request;
}

void PendingRequests::abandon(const PendingRequestPtr& request) {
  request->abandoned = true;
  if (request->sent) return;
  unanswered_.erase(request->id);
  queue_.erase(std::find(queue_.begin(), queue_.end(), request));
}

void PendingRequests::mark_releases_stale() {
  for (const auto& [id, request] : unanswered_)
    request->release_is_stale = request->is_release;
}

std::vector<PendingRequestPtr> PendingRequests::resume() {
  std::vector<PendingRequestPtr> stale;
  queue_.clear();
  for (auto at = unanswered_.begin(); at != unanswered_.end();) {
    if (at->second->release_is_stale) {
      stale.push_back(std::move(at->second));
      at = unanswered_.erase(at);
    } else {
      at->second->queued = true;
      queue_.push_back(at->second);
      ++at;
    }
  }
  return stale;
}

PendingRequests::Restart PendingRequests::restart() {
  Restart restart;
  for (auto at = unanswered_.begin(); at != unanswered_.end();) {
    if (at->second->sequence != 0 || at->second->is_commit) {
      restart.in_doubt.push_back(std::move(at->second));
      at = unanswered_.erase(at);
    } else {
      ++at;
    }
  }
  open_sequences_.clear();
  next_sequence_ = 1;
  if (operations_ != nullptr) operations_->forget_sequences();
  succeeded_ = 0;
  changes_told_ = 0;
  restart.stale = resume();
  return restart;
}

std::vector<PendingRequestPtr> PendingRequests::take_all() {
  std::vector<PendingRequestPtr> all;
  all.reserve(unanswered_.size());
  for (auto& [id, request] : unanswered_) all.push_back(std::move(request));
  unanswered_.clear();
  queue_.clear();
  open_sequences_.clear();
  return all;
}

}  // namespace dfs
