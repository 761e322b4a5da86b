#include "tests/sim/far_servers.h"

#include <atomic>
#include <cstring>
#include <utility>

#include "server/meta/cluster/cluster_jobs.h"
#include "server/meta/repair/repair_jobs.h"

namespace dfs::sim {
namespace {

class FarStorageServer final : public StorageClient {
 public:
  FarStorageServer(Wires& wires, Wires::End from, std::optional<StorageDoors::Place> place)
      : wires_(wires), from_(from), place_(place) {}

  void put(PutArgs args, std::function<void(Result<PutOutcome>)> done) override {
    auto bytes = std::make_shared<std::vector<std::byte>>();
    for (const BufferView piece : args.pieces) bytes->insert(bytes->end(), piece.begin(), piece.end());
    args.pieces.clear();
    call<Result<PutOutcome>>(
        [chunk = ArrivedChunk{std::move(args), std::move(bytes)}](StorageDoor& door, auto answer) {
          door.put(chunk, answer);
        },
        done, [](const Error& why) { return Result<PutOutcome>(fail(why)); });
  }

  // The bytes go to the reader when the answer arrives, and only if it does.
  void get(std::vector<GetArgs> ranges, std::function<void(std::vector<Result<void>>)> done) override {
    const std::size_t count = ranges.size();
    call<ReadBytes>(
        [ranges](StorageDoor& door, auto answer) { door.get(ranges, answer); },
        [ranges, done](const ReadBytes& read) {
          for (std::size_t i = 0; i < ranges.size(); ++i)
            if (read.results[i]) std::memcpy(ranges[i].into, read.bytes[i].data(), ranges[i].length);
          done(read.results);
        },
        [count](const Error& why) {
          return ReadBytes{std::vector<Result<void>>(count, Result<void>(fail(why))), {}};
        });
  }

  void sync(std::vector<ChunkId> chunks, std::function<void(Result<void>)> done) override {
    call<Result<void>>([chunks](StorageDoor& door, auto answer) { door.sync(chunks, answer); }, done,
                       [](const Error& why) { return Result<void>(fail(why)); });
  }

  void stat(std::vector<ChunkId> chunks, std::function<void(Result<std::vector<StoredChunk>>)> done) override {
    call<Result<std::vector<StoredChunk>>>(
        [chunks](StorageDoor& door, auto answer) { door.stat(chunks, answer); }, done,
        [](const Error& why) { return Result<std::vector<StoredChunk>>(fail(why)); });
  }

  void attend(const std::function<void()>& start, const std::function<bool()>& finished,
              Interrupt* interrupt) override {
    start();
    wires_.wait(finished, interrupt);
  }

 private:
  template <typename Told, typename Ask, typename Done, typename Fail>
  void call(Ask ask, Done done, Fail failure) {
    if (!place_) return done(failure({Errc::unavailable, "nobody knows where the server is"}));
    wires_.call({.from = from_,
                 .to = place_->end,
                 .ask =
                     [ask = std::move(ask), done, door = place_->door](Wires::Answer answer) {
                       ask(*door, [answer, done](Told told) {
                         auto kept = std::make_shared<Told>(std::move(told));
                         answer([done, kept] { done(*kept); });
                       });
                     },
                 .failed = [done, failure](const Error& why) { done(failure(why)); }});
  }

  Wires& wires_;
  const Wires::End from_;
  const std::optional<StorageDoors::Place> place_;
};

}  // namespace

std::shared_ptr<StorageClient> FarStorage::client(ServerId server) {
  return std::make_shared<FarStorageServer>(wires_, from_, doors_.find(server));
}

template <typename R, typename Args, typename MakeJob>
Result<R> FarMeta::ask(const Args& args, MakeJob make_job) {
  struct Asked {
    std::atomic<bool> ended{false};
    Result<R> result = fail(Errc::unavailable);
  };
  const auto asked = std::make_shared<Asked>();
  const auto end = [asked](Result<R> result) {
    asked->result = std::move(result);
    asked->ended = true;
  };
  wires_.call({.from = ends_.from,
               .to = ends_.meta,
               .ask =
                   [args, make_job, end, this](Wires::Answer answer) {
                     server_.run(make_job(args, [answer, end](Result<R> result) {
                       auto kept = std::make_shared<Result<R>>(std::move(result));
                       answer([end, kept] { end(*kept); });
                     }));
                   },
               .failed = [end](const Error& why) { end(fail(why)); }});
  wires_.wait([&] { return asked->ended.load(); });
  return asked->result;
}

Result<RegisterResult> FarMeta::register_server(const RegisterArgs& args) {
  return ask<RegisterResult>(args, make_register_job);
}
Result<HeartbeatResult> FarMeta::heartbeat(const HeartbeatArgs& args) {
  return ask<HeartbeatResult>(args, make_heartbeat_job);
}
Result<RepairResult> FarMeta::repair(const RepairArgs& args) {
  return ask<RepairResult>(args, make_repair_job);
}

}  // namespace dfs::sim
