// One chunk on its way in: parts are written here and passed on to the other
// members while they arrive; when everybody has answered, the sender is told
// who has the chunk.
//
// An error of our own is answered at once and ends the job; an error of
// another member is part of the answer.
//
// A part that comes after the session has ended whose chunk it is ends the job:
// an upload does not outlive its session. That is decided here, by the member
// that the client sends to. The others are not told of the session: they would
// decide by what they know, and some have the chunk that others refuse.
//
// A job that began with a query (an interrupted upload going on) forwards
// nothing on the way: the sender leaves out what is here already, which
// another member may lack. When the chunk is whole, it is sent from the store.
//
// Threads: take() one call at a time; everything else comes by itself.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/rpc/storage_messages.h"
#include "server/storage/received_bytes.h"
#include "server/storage/service_context.h"

namespace dfs::storage {

// The sender's side: how a job answers. Threads: any.
class PutAnswers {
 public:
  virtual ~PutAnswers() = default;
  virtual void answer(const PutAnswer& answer) = 0;
  // Nothing follows for this chunk.
  virtual void job_over(ChunkId chunk) = 0;
};

class PutJob : public std::enable_shared_from_this<PutJob> {
 public:
  // `first` is a part at offset 0 or a query; it is not taken yet.
  PutJob(ServiceContext& context, std::string cluster, ServerId self,
         std::shared_ptr<PutAnswers> answers, const PutPart& first);

  // On a polling thread: never waits for a disk.
  void take(PutPart part, std::shared_ptr<const ReceivedBytes> bytes);
  // The sender is gone: what was received is kept for whoever goes on with the
  // upload, nobody is answered.
  void abandon();

 private:
  struct Pending {
    bool query = false;
    std::uint32_t offset = 0;
    std::vector<Checksum> checksums;
    std::shared_ptr<const ReceivedBytes> bytes;
  };
  struct Member {
    ServerId server;
    std::shared_ptr<ForwardLink> link;
    ForwardLink::Ticket ticket = 0;
    std::optional<Result<Forwarded>> result;
  };

  void begin_forwarding();
  void forward(const PutPart& part, const std::shared_ptr<const ReceivedBytes>& bytes);
  bool may_run_inline(const Pending& pending) const;
  void run_queue();
  Result<void> handle(const Pending& pending);
  Result<void> store_whole(const Pending& pending);
  Result<void> store_part(const Pending& pending);
  void have_answer(std::uint32_t have);
  void stored();
  void kept(const Result<void>& result);
  void catch_members_up();
  void member_answered(std::size_t member, Result<Forwarded> result);
  void answer_when_complete();
  void fail_job(const Error& error);
  void forget_members();

  ServiceContext& context_;
  const std::string cluster_;
  const ServerId self_;
  const std::shared_ptr<PutAnswers> answers_;
  const ChunkMeta meta_;
  const SessionId session_;
  const PutPart settings_;  // epoch, sync, capability: for the members
  const bool resumed_;

  // Of the one thread that works on the queue.
  ChunkStore* store_ = nullptr;
  bool begun_ = false;

  std::mutex mutex_;  // of what follows
  std::deque<Pending> queue_;
  bool running_ = false;
  bool over_ = false;
  bool kept_ = false;     // here, as durable as asked for
  std::vector<Member> members_;
};

}  // namespace dfs::storage
