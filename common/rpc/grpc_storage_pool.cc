#include <fmt/format.h>

#include <map>
#include <utility>

#include "common/base/guarded.h"
#include "common/rpc/completion_loop.h"
#include "common/rpc/grpc_storage_client.h"

namespace dfs {
namespace {

// Stands for a server that the group table does not know.
class UnknownServer final : public StorageClient {
 public:
  explicit UnknownServer(ServerId server)
      : loop_(CompletionLoop::shared()),
        error_{Errc::unavailable,
               fmt::format("storage server {} is not in the group table", server.value())} {}

  void put(PutArgs, std::function<void(Result<PutOutcome>)> done) override {
    loop_->run_soon([done = std::move(done), error = error_] { done(fail(error)); });
  }
  void get(std::vector<GetArgs> ranges,
           std::function<void(std::vector<Result<void>>)> done) override {
    loop_->run_soon([done = std::move(done), error = error_, count = ranges.size()] {
      done(std::vector<Result<void>>(count, fail(error)));
    });
  }
  void sync(std::vector<ChunkId>, std::function<void(Result<void>)> done) override {
    loop_->run_soon([done = std::move(done), error = error_] { done(fail(error)); });
  }
  void stat(std::vector<ChunkId>,
            std::function<void(Result<std::vector<StoredChunk>>)> done) override {
    loop_->run_soon([done = std::move(done), error = error_] { done(fail(error)); });
  }
  void attend(const std::function<void()>& start, const std::function<bool()>& finished,
              Interrupt* interrupt) override {
    loop_->wait_until(finished, std::nullopt, interrupt, start);
  }

 private:
  const std::shared_ptr<CompletionLoop> loop_;
  const Error error_;
};

struct Known {
  std::string address;
  std::string local_socket;
  std::string machine;
  std::shared_ptr<StorageClient> client;

  bool is_at(const ServerInfo& server) const {
    return address == server.address && local_socket == server.local_socket &&
           machine == server.machine;
  }
};

class Pool final : public GrpcStoragePool {
 public:
  Pool(StorageClientOptions options, GroupTableSource table, Clock& clock)
      : options_(std::move(options)), table_(std::move(table)), clock_(clock) {}

  std::shared_ptr<StorageClient> client(ServerId server) override {
    const GroupTablePtr table = table_();
    if (table == nullptr) return std::make_shared<UnknownServer>(server);
    const auto found = table->servers.find(server);
    if (found == table->servers.end()) return std::make_shared<UnknownServer>(server);
    const ServerInfo& info = found->second;
    // Ends, if it ends here, outside the lock: that waits for its connection.
    std::shared_ptr<StorageClient> outdated;
    return known_.with([&](auto& known) {
      Known& entry = known[server];
      if (entry.client == nullptr || !entry.is_at(info)) {
        outdated = std::move(entry.client);
        entry = {info.address, info.local_socket, info.machine,
                 GrpcStorageClient::create(options_, info, table_, clock_)};
      }
      return entry.client;
    });
  }

 private:
  const StorageClientOptions options_;
  const GroupTableSource table_;
  Clock& clock_;
  Guarded<std::map<ServerId, Known>> known_;
};

}  // namespace

std::unique_ptr<GrpcStoragePool> GrpcStoragePool::create(StorageClientOptions options,
                                                         GroupTableSource table, Clock& clock) {
  return std::make_unique<Pool>(std::move(options), std::move(table), clock);
}

}  // namespace dfs
