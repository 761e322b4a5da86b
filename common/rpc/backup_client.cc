#include "common/rpc/backup_client.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/address.h"
#include "common/rpc/channels.h"
#include "common/rpc/convert_checks.h"
#include "common/rpc/protocol.h"
#include "common/rpc/waiting_call.h"
#include "dfs/v1/backup.grpc.pb.h"

namespace dfs {
namespace {

using Stub = v1::BackupService::Stub;

class GrpcBackupClient final : public BackupClient {
 public:
  GrpcBackupClient(std::string address, std::uint32_t uid, std::chrono::milliseconds timeout)
      : address_(std::move(address)), uid_(uid), timeout_(timeout) {}

  Result<BackupPage> next() override {
    TRY(parse_address(address_));
    if (stub_ == nullptr)
      stub_ = v1::BackupService::NewStub(make_channel(dial_target(address_)));
    v1::BackupRequest request;
    request.set_protocol_version(kProtocolVersion);
    request.set_backup(backup_);
    request.set_page(page_);
    request.set_uid(uid_);
    Result<v1::BackupPage> answer =
        call_and_wait<v1::BackupPage>(*stub_, &Stub::PrepareAsyncNext, request, timeout_);
    if (!answer)
      return fail(answer.error().code, fmt::format("the metadata server at {}: {}", address_,
                                                   answer.error().text));
    v1::BackupPage& message = *answer;
    if (message.page() != page_ || message.backup() == 0 ||
        (backup_ != 0 && message.backup() != backup_))
      return convert::bad("the metadata server sends another page of a backup than was asked for");
    backup_ = message.backup();
    ++page_;
    BackupPage page;
    page.backup = message.backup();
    page.page = message.page();
    page.rows = std::move(*message.mutable_rows());
    page.last = message.last();
    page.facts.insert(message.facts().begin(), message.facts().end());
    page.bytes_about = message.bytes_about();
    return page;
  }

 private:
  const std::string address_;
  const std::uint32_t uid_;
  const std::chrono::milliseconds timeout_;
  std::unique_ptr<Stub> stub_;
  std::uint64_t backup_ = 0;
  std::uint64_t page_ = 0;  // the next one
};

}  // namespace

std::unique_ptr<BackupClient> make_backup_client(std::string meta_address, std::uint32_t uid,
                                                 std::chrono::milliseconds timeout) {
  return std::make_unique<GrpcBackupClient>(std::move(meta_address), uid, timeout);
}

}  // namespace dfs
