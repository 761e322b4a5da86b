#include "common/kv/zero_ahead_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include "common/base/unique_fd.h"
#include "common/base/zero_ahead.h"

namespace dfs {
namespace {

using rocksdb::DataVerificationInfo;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// One log being written. RocksDB appends from one thread at a time, and syncs
// beside it.
class LogFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  LogFile(std::unique_ptr<rocksdb::FSWritableFile> file, UniqueFd descriptor)
      : FSWritableFileOwnerWrapper(std::move(file)), descriptor_(std::move(descriptor)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    prepare(data.size());
    return appended(data.size(), FSWritableFileOwnerWrapper::Append(data, options, debug));
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const DataVerificationInfo& info,
                  IODebugContext* debug) override {
    prepare(data.size());
    return appended(data.size(), FSWritableFileOwnerWrapper::Append(data, options, info, debug));
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    ahead_.synced();
    return FSWritableFileOwnerWrapper::Sync(options, debug);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    end_ = size;
    return FSWritableFileOwnerWrapper::Truncate(size, options, debug);
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    // If it fails the zeros stay, and are the log's end all the same.
    if (ahead_.zeroed_to() > end_ && ::ftruncate(descriptor_.get(), static_cast<off_t>(end_)) != 0)
      ahead_.given_up(end_);
    return FSWritableFileOwnerWrapper::Close(options, debug);
  }

 private:
  void prepare(std::uint64_t bytes) {
    const std::uint64_t wanted = ahead_.before_append(end_, bytes);
    if (wanted == 0) return;
    static const std::vector<char> zeros(64 << 10);
    for (std::uint64_t at = end_; at < end_ + wanted;) {
      const std::size_t some = std::min<std::uint64_t>(zeros.size(), end_ + wanted - at);
      const ssize_t done = ::pwrite(descriptor_.get(), zeros.data(), some, static_cast<off_t>(at));
      // A convenience: the record's own write will tell what is wrong.
      if (done <= 0) return ahead_.given_up(at);
      at += static_cast<std::uint64_t>(done);
    }
  }
  IOStatus appended(std::uint64_t bytes, IOStatus status) {
    if (status.ok()) end_ += bytes;
    return status;
  }

  const UniqueFd descriptor_;
  std::uint64_t end_ = 0;
  ZeroAhead ahead_{0};
};

class Files final : public rocksdb::FileSystemWrapper {
 public:
  Files() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "dfs.ZeroAheadFiles"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           IODebugContext* debug) override {
    const IOStatus status = judged(FileSystemWrapper::NewWritableFile(name, options, file, debug));
    if (!status.ok() || !name.ends_with(".log")) return status;
    UniqueFd descriptor(::open(name.c_str(), O_WRONLY | O_CLOEXEC));
    if (descriptor) *file = std::make_unique<LogFile>(std::move(*file), std::move(descriptor));
    return status;
  }
  IOStatus NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                               IODebugContext* debug) override {
    return judged(FileSystemWrapper::NewRandomAccessFile(name, options, file, debug));
  }
  IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* file,
                             IODebugContext* debug) override {
    return judged(FileSystemWrapper::NewSequentialFile(name, options, file, debug));
  }

 private:
  static IOStatus judged(IOStatus status) {
    if (is_out_of_descriptors(status)) status.SetRetryable(true);
    return status;
  }
};

}  // namespace

// RocksDB keeps of an errno only its text.
bool is_out_of_descriptors(const rocksdb::Status& status) {
  if (!status.IsIOError() || status.getState() == nullptr) return false;
  static const std::string texts[] = {std::generic_category().message(EMFILE),
                                      std::generic_category().message(ENFILE)};
  const std::string_view state = status.getState();
  return state.ends_with(texts[0]) || state.ends_with(texts[1]);
}

rocksdb::Env* zero_ahead_files() {
  static const std::unique_ptr<rocksdb::Env> env =
      rocksdb::NewCompositeEnv(std::make_shared<Files>());
  return env.get();
}

}  // namespace dfs
