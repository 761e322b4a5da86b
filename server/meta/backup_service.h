// The door for backups: /dfs.v1.BackupService, unary calls over StreamServer.
//
// Pages are read on a thread of its own, one after another: reading gigabytes
// keeps neither the core nor a polling thread.
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "common/rpc/stream_server.h"
#include "server/meta/backup/backup_desk.h"

namespace dfs {

class BackupService {
 public:
  // `store` and `clock` must outlive the service.
  BackupService(const KvStore& store, const Clock& clock);
  // Stops.
  ~BackupService();
  BackupService(const BackupService&) = delete;
  BackupService& operator=(const BackupService&) = delete;

  // The service must outlive the calls.
  std::map<std::string, UnaryMethod> methods();

  // Answers what waits, lets go of the store, joins. Idempotent.
  void stop();

 private:
  void accept(grpc::ByteBuffer bytes, UnaryReply reply);
  void run();

  BackupDesk desk_;  // the thread's
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> waiting_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace dfs
