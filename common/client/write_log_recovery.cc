#include "common/client/write_log_recovery.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <optional>
#include <system_error>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/unique_fd.h"
#include "common/rpc/time_limit.h"

namespace dfs {
namespace {

constexpr std::size_t kPiece = 1 * MiB;
constexpr unsigned kNamesMax = 10'000;

using Range = LoggedFile::Ranges::Range;

bool is_gone(Errc code) { return code == Errc::stale || code == Errc::not_found; }

// What is kept of one file: made with the first byte.
class KeptFile {
 public:
  KeptFile(std::filesystem::path directory, InodeId inode)
      : directory_(std::move(directory)), inode_(inode) {}

  Result<void> write(std::uint64_t offset, BufferView data) {
    if (!file_) TRY(make());
    bytes_ += data.size();
    while (!data.empty()) {
      const ssize_t count =
          ::pwrite(file_.get(), data.data(), data.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return fail_errno(count < 0 ? errno : EIO, "writing " + path_.string());
      offset += static_cast<std::uint64_t>(count);
      data = data.subspan(static_cast<std::size_t>(count));
    }
    return {};
  }
  Result<void> make_stable() const {
    if (!file_) return {};
    if (::fsync(file_.get()) != 0) return fail_errno(errno, "making " + path_.string() + " stable");
    TRY(sync(directory_));
    return sync(directory_.parent_path());
  }
  std::uint64_t bytes() const { return bytes_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  Result<void> make() {
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (error) return fail_errno(error.value(), "making " + directory_.string());
    for (unsigned number = 1; number <= kNamesMax; ++number) {
      path_ = directory_ / (number == 1 ? fmt::format("inode-{}", inode_.value())
                                        : fmt::format("inode-{}.{}", inode_.value(), number));
      file_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      if (file_) return {};
      if (errno != EEXIST) break;
    }
    return fail_errno(errno, "making " + path_.string());
  }
  static Result<void> sync(const std::filesystem::path& directory) {
    const UniqueFd file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!file || ::fsync(file.get()) != 0)
      return fail_errno(errno, "making " + directory.string() + " stable");
    return {};
  }

  const std::filesystem::path directory_;
  const InodeId inode_;
  std::filesystem::path path_;
  UniqueFd file_;
  std::uint64_t bytes_ = 0;
};

class Sender {
 public:
  Sender(WriteLog& log, FileSystem& files, const RecoveryOptions& options)
      : log_(log), files_(files), options_(options) {}

  Result<Recovery> send_all() {
    for (const std::string& damage : log_.former().damage) found(damage);
    for (const auto& [inode, file] : log_.former().files) {
      TRY(send(inode, file));
      log_.settle_former(inode);
    }
    return std::move(result_);
  }

 private:
  // Ends the file's use.
  class Use {
   public:
    Use(FileSystem& files, OpenFilePtr file) : files_(files), file_(std::move(file)) {}
    ~Use() { files_.close(file_); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    FileSystem& files_;
    const OpenFilePtr file_;
  };

  Result<void> send(InodeId inode, const LoggedFile& logged) {
    const auto opened = asked([&](const CallContext& context) {
      return files_.open(inode, {.read = true, .write = true}, context);
    });
    if (!opened) return is_gone(opened.error().code) ? gone(inode, logged) : fail(opened.error());
    const Use use(files_, opened->file);

    const auto follows = TRY(what_to_follow(inode, logged, opened->attributes.data_change));
    if (!follows) return compare(inode, logged, *opened->file);
    UnsentFacts facts = logged.facts;
    facts.data_change = *follows;
    files_.rewrite(*opened->file, facts);
    const Result<void> written = write(logged, *opened->file);
    if (written) {
      ++result_.sent_files;
      result_.sent_bytes += logged.ranges.bytes();
      return {};
    }
    if (is_gone(written.error().code)) return gone(inode, logged);
    // Somebody has changed it just now.
    if (written.error().code == Errc::io) return compare(inode, logged, *opened->file);
    return written;
  }

  // The data_change that the bytes may be written upon, if it is as the former mount left it.
  Result<std::optional<std::uint64_t>> what_to_follow(InodeId inode, const LoggedFile& logged,
                                                      std::uint64_t data_change) {
    const std::optional<std::uint64_t> nothing;
    if (logged.is_doubtful) return nothing;
    if (data_change == logged.facts.data_change) return std::optional(data_change);
    if (!logged.intent || data_change != logged.facts.data_change + 1) return nothing;
    const auto extents = TRY(asked(
        [&](const CallContext& context) { return files_.extents(inode, context); }));
    const bool is_ours = std::any_of(extents.begin(), extents.end(), [&](const Extent& extent) {
      return extent.chunk == *logged.intent;
    });
    return is_ours ? std::optional(data_change) : nothing;
  }

  Result<void> write(const LoggedFile& logged, OpenFile& file) {
    const auto write_piece = [&](std::uint64_t offset, BufferView data) {
      return asked([&](const CallContext& context) {
        return files_.write(file, offset, data, context);
      });
    };
    TRY(for_each_piece(logged, write_piece));
    return asked([&](const CallContext& context) { return files_.fsync(file, context); });
  }

  Result<void> compare(InodeId inode, const LoggedFile& logged, OpenFile& file) {
    KeptFile kept(options_.kept, inode);
    std::vector<std::byte> there(kPiece);
    const auto keep_if_other = [&](std::uint64_t offset, BufferView data) -> Result<void> {
      const MutableBuffer into = MutableBuffer(there).first(data.size());
      const auto count = TRY(asked([&](const CallContext& context) {
        return files_.read(file, offset, into, context);
      }));
      const bool same = count == data.size() && std::equal(data.begin(), data.end(), into.begin());
      if (same) return {};
      return kept.write(offset, data);
    };
    TRY(for_each_piece(logged, keep_if_other));
    TRY(kept.make_stable());
    if (kept.bytes() > 0)
      found(fmt::format("inode {}: somebody else has changed the file since {} bytes of it were "
                        "written here and not sent: they are kept in {}, at their places",
                        inode.value(), kept.bytes(), kept.path().string()));
    // What is the same may be on its way to stable media still.
    return asked([&](const CallContext& context) { return files_.fsync(file, context); });
  }

  Result<void> gone(InodeId inode, const LoggedFile& logged) {
    log_warn("client", "inode {} is gone, and {} bytes with it that had not been sent",
             inode.value(), logged.ranges.bytes());
    return {};
  }

  template <typename Work>
  Result<void> for_each_piece(const LoggedFile& logged, Work&& work) {
    std::vector<Range> ranges;
    logged.ranges.visit(0, UINT64_MAX, [&](const Range& range) { ranges.push_back(range); });
    std::vector<std::byte> bytes(kPiece);
    for (Range range : ranges) {
      while (range.length > 0) {
        const MutableBuffer piece =
            MutableBuffer(bytes).first(std::min<std::uint64_t>(range.length, kPiece));
        TRY(read_logged(log_.former(), range, piece));
        TRY(work(range.offset, piece));
        range.offset += piece.size();
        range.source_offset += piece.size();
        range.length -= piece.size();
      }
    }
    return {};
  }

  // With a limit to the wait for servers.
  template <typename Call>
  auto asked(Call&& call) -> decltype(call(CallContext{})) {
    if (options_.is_given_up && options_.is_given_up())
      return fail(Errc::unavailable, "the mount was asked to end");
    TimeLimit limit(options_.patience);
    CallContext context;
    context.caller = {::getuid(), ::getgid()};
    context.interrupt = &limit.interrupt();
    context.keeps_access_time = true;
    auto answer = call(context);
    if (!answer && answer.error().code == Errc::interrupted)
      return fail(Errc::unavailable, "the servers do not answer");
    return answer;
  }

  void found(const std::string& what) {
    log_error("client", "{}", what);
    result_.findings.push_back(what);
  }

  WriteLog& log_;
  FileSystem& files_;
  const RecoveryOptions& options_;
  Recovery result_;
};

}  // namespace

Result<Recovery> send_former(WriteLog& log, FileSystem& files, const RecoveryOptions& options) {
  return Sender(log, files, options).send_all();
}

}  // namespace dfs
