#include "common/rpc/grpc_storage_client.h"

#include <utility>

#include "common/rpc/completion_loop.h"
#include "common/rpc/storage_connection.h"

namespace dfs {
namespace {

class Client final : public GrpcStorageClient {
 public:
  explicit Client(std::shared_ptr<StorageConnection> connection)
      : connection_(std::move(connection)) {
    connection_->open();
  }
  // A completion may hold the last reference: then nobody waits.
  ~Client() override {
    connection_->close();
    CompletionLoop& loop = connection_->loop();
    if (!loop.in_handler())
      loop.wait_until(
          [this] { return connection_->is_quiet() && connection_.use_count() == 1; }, std::nullopt,
          nullptr);
  }

  void put(PutArgs args, std::function<void(Result<PutOutcome>)> done) override {
    connection_->put(std::move(args), std::move(done));
  }
  void get(std::vector<GetArgs> ranges,
           std::function<void(std::vector<Result<void>>)> done) override {
    connection_->get(std::move(ranges), std::move(done));
  }
  void sync(std::vector<ChunkId> chunks, std::function<void(Result<void>)> done) override {
    connection_->sync(std::move(chunks), std::move(done));
  }
  void stat(std::vector<ChunkId> chunks,
            std::function<void(Result<std::vector<StoredChunk>>)> done) override {
    connection_->stat(std::move(chunks), std::move(done));
  }
  void attend(const std::function<void()>& start, const std::function<bool()>& finished,
              Interrupt* interrupt) override {
    connection_->loop().wait_until(finished, std::nullopt, interrupt, start);
  }

 private:
  const std::shared_ptr<StorageConnection> connection_;
};

}  // namespace

std::shared_ptr<GrpcStorageClient> GrpcStorageClient::create(StorageClientOptions options,
                                                             ServerInfo server,
                                                             GroupTableSource table, Clock& clock) {
  return std::make_shared<Client>(std::make_shared<StorageConnection>(
      std::move(options), std::move(server), std::move(table), clock));
}

}  // namespace dfs
