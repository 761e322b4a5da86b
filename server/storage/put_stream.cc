#include "server/storage/put_stream.h"

#include <atomic>
#include <unordered_map>
#include <utility>

#include "common/rpc/storage_messages.h"
#include "server/storage/put_job.h"

namespace dfs::storage {
namespace {

// Outlives its stream while jobs of it are at work.
class Answers final : public PutAnswers {
 public:
  using Jobs = std::unordered_map<ChunkId, std::shared_ptr<PutJob>>;

  explicit Answers(std::shared_ptr<StreamPeer> peer) : peer_(std::move(peer)) {}

  void answer(const PutAnswer& answer) override {
    // False means that nobody is there to hear it any more.
    static_cast<void>(peer_->send(encode(answer)));
  }
  void job_over(ChunkId chunk) override {
    std::shared_ptr<PutJob> job;  // let go outside the lock
    jobs_.with([&](Jobs& jobs) {
      const auto found = jobs.find(chunk);
      if (found == jobs.end()) return;
      job = std::move(found->second);
      jobs.erase(found);
    });
  }

  std::shared_ptr<PutJob> find(ChunkId chunk) const {
    return jobs_.with([&](const Jobs& jobs) {
      const auto found = jobs.find(chunk);
      return found == jobs.end() ? nullptr : found->second;
    });
  }
  void add(ChunkId chunk, std::shared_ptr<PutJob> job) {
    jobs_.with([&](Jobs& jobs) { jobs.insert_or_assign(chunk, std::move(job)); });
  }
  std::size_t count() const {
    return jobs_.with([](const Jobs& jobs) { return jobs.size(); });
  }
  Jobs take_all() {
    return jobs_.with([](Jobs& jobs) { return std::exchange(jobs, {}); });
  }

 private:
  const std::shared_ptr<StreamPeer> peer_;
  Guarded<Jobs> jobs_;
};

class PutStream final : public StreamHandler {
 public:
  PutStream(ServiceContext& context, Membership member, std::shared_ptr<StreamPeer> peer)
      : context_(context),
        member_(std::move(member)),
        peer_(std::move(peer)),
        answers_(std::make_shared<Answers>(peer_)) {}

  Reading on_message(grpc::ByteBuffer message) override {
    auto decoded = decode_put_part(message);
    message.Clear();
    if (!decoded) return refuse(decoded.error());
    if (!greeted_) {
      if (const auto welcome = check_greeting(decoded->part.greeting, member_.cluster); !welcome)
        return refuse(welcome.error());
      greeted_ = true;
    }
    take(std::move(decoded->part), std::move(decoded->payload));
    const bool room = context_.received->has_room_or_wait([peer = peer_] { peer->resume(); });
    return room ? Reading::go_on : Reading::pause;
  }

  void on_end() override {
    for (const auto& [chunk, job] : answers_->take_all()) job->abandon();
  }

 private:
  Reading refuse(const Error& error) {
    peer_->close(error);
    return Reading::pause;
  }

  void take(PutPart part, FramePayload payload) {
    const ChunkId chunk = part.chunk;
    std::shared_ptr<PutJob> job = answers_->find(chunk);
    if (!job) {
      // The rest of a chunk that has failed: the sender knows, or will.
      if (part.offset != 0) return;
      if (const auto admitted = admit(part); !admitted) {
        PutAnswer answer;
        answer.chunk = chunk;
        answer.error = admitted.error();
        return answers_->answer(answer);
      }
      job = std::make_shared<PutJob>(context_, member_.cluster, member_.server, answers_, part);
      answers_->add(chunk, job);
    }
    std::shared_ptr<const ReceivedBytes> bytes;
    if (!part.query) bytes = std::make_shared<ReceivedBytes>(std::move(payload), context_.received);
    job->take(std::move(part), std::move(bytes));
  }

  Result<void> admit(const PutPart& part) const {
    TRY(context_.epochs.check(part.chunk.group(), part.epoch));
    if (answers_->count() < context_.config.puts_per_stream_max) return {};
    return fail(Errc::overloaded, "too many chunks of one stream are under way");
  }

  ServiceContext& context_;
  const Membership member_;
  const std::shared_ptr<StreamPeer> peer_;
  const std::shared_ptr<Answers> answers_;
  bool greeted_ = false;
};

}  // namespace

std::unique_ptr<StreamHandler> make_put_stream(ServiceContext& context, const Membership& member,
                                               std::shared_ptr<StreamPeer> peer) {
  return std::make_unique<PutStream>(context, member, std::move(peer));
}

}  // namespace dfs::storage
