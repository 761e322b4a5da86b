#include "server/meta/backup_service.h"

#include <pthread.h>

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "common/rpc/frame.h"
#include "common/rpc/protocol.h"
#include "dfs/v1/backup.pb.h"

namespace dfs {
namespace {

constexpr std::size_t kWaitingMax = 16;
// How often is looked for backups that were given up, while there are any.
constexpr std::chrono::seconds kLookInterval{5};

Result<void> check(const v1::BackupRequest& request) {
  if (request.protocol_version() != kProtocolVersion)
    return fail(Errc::wrong_version,
                fmt::format("the program that asks for a backup speaks version {} of the protocol, "
                            "the metadata server version {}",
                            request.protocol_version(), kProtocolVersion));
  if (request.uid() != 0)
    return fail(Errc::not_permitted, "only root may copy the metadata: it has everybody's names");
  return {};
}

grpc::ByteBuffer answer_to(BackupPage&& page) {
  v1::BackupPage message;
  message.set_backup(page.backup);
  message.set_page(page.page);
  message.set_rows(std::move(page.rows));
  message.set_last(page.last);
  for (auto& [key, value] : page.facts) (*message.mutable_facts())[key] = std::move(value);
  message.set_bytes_about(page.bytes_about);
  return serialize_message(message);
}

}  // namespace

BackupService::BackupService(const KvStore& store, const Clock& clock)
    : desk_(store, clock, {}), thread_([this] { run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "meta-backup");
}

BackupService::~BackupService() { stop(); }

std::map<std::string, UnaryMethod> BackupService::methods() {
  return {{"/dfs.v1.BackupService/Next", [this](grpc::ByteBuffer bytes, UnaryReply reply) {
             accept(std::move(bytes), std::move(reply));
           }}};
}

void BackupService::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void BackupService::accept(grpc::ByteBuffer bytes, UnaryReply reply) {
  v1::BackupRequest request;
  if (auto parsed = parse_message(bytes, request); !parsed)
    return reply(fail(std::move(parsed).error()));
  if (auto allowed = check(request); !allowed) return reply(fail(std::move(allowed).error()));
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && waiting_.size() < kWaitingMax) {
      waiting_.push_back([this, backup = request.backup(), page = request.page(),
                          reply = std::move(reply)] {
        Result<BackupPage> read = backup == 0 ? desk_.begin() : desk_.next(backup, page);
        if (read)
          reply(answer_to(std::move(*read)));
        else
          reply(fail(std::move(read).error()));
      });
      wake_.notify_one();
      return;
    }
  }
  reply(fail(Errc::overloaded, "too many ask for backups at once"));
}

void BackupService::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto is_due = [this] { return stopping_ || !waiting_.empty(); };
    if (desk_.open() == 0)
      wake_.wait(lock, is_due);
    else
      wake_.wait_for(lock, kLookInterval, is_due);
    if (waiting_.empty() && stopping_) return;
    std::function<void()> next;
    if (!waiting_.empty()) {
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    lock.unlock();
    if (next) next();
    desk_.release_idle();
    lock.lock();
  }
}

}  // namespace dfs
