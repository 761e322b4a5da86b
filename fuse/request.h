// One request of the kernel, from its arrival to the one reply to it. Here,
// and nowhere else, Results become replies and Errc becomes errno.
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <string>
#include <vector>

#include "common/client/file_system.h"
#include "fuse/session_state.h"

namespace dfs::fuse {

// Lives on the stack of the function that serves the request, which replies
// exactly once through it. An interrupt of the program reaches context().
class Request {
 public:
  Request(fuse_req_t handle, Operation operation, InodeId inode);
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  InodeId inode() const { return inode_; }
  SessionState& state() const { return state_; }
  FileSystem& files() { return state_.files; }
  const CallContext& context() const { return context_; }
  // To be called after something was changed, before the reply.
  void changed() {
    state_.changes.fetch_add(1, std::memory_order_release);
    state_.files.replies().pass();
  }

  void reply(const Result<void>& result);
  // What `name` in `parent` leads to; that it leads nowhere may be an answer to
  // remember.
  void reply_lookup(InodeId parent, const char* name, const Result<Attributes>& result);
  // What was made at `name`. Here `not_found` is of what it was made from or in,
  // and the kernel takes an entry without a file for EIO.
  void reply_made(InodeId parent, const char* name, const Result<Attributes>& result);
  void reply_attributes(const Result<Attributes>& result);
  // The answer to FUSE_STATX: the time of birth too.
  void reply_statx(const Result<Attributes>& result);
  void reply_target(const Result<std::string>& result);
  void reply_stat_fs(const Result<StatFsResult>& result);
  void reply_bytes(BufferView bytes);
  void reply_written(std::size_t bytes);
  void reply_xattr_size(std::size_t bytes);
  void reply_offset(std::uint64_t offset);
  void reply_lock(const struct flock& lock);
  void reply_beyond_end();  // ENXIO: lseek found nothing before the end
  // `would_wait` is no answer: the request is put off, to be served again.
  void reply_error(const Error& error);

  // False if the kernel does not want the file any more: it will not release it.
  [[nodiscard]] bool reply_open(const fuse_file_info& file);
  [[nodiscard]] bool reply_create(InodeId parent, const char* name, const Attributes& attributes,
                                  const fuse_file_info& file);

  // Instead of a reply: it comes later, through what is returned, and an
  // interrupt of the program is not heard by context() any more.
  class Later;
  Later answer_later();

  // For directory listings; within a ReplyBarrier::Reply, as what follows.
  fuse_entry_param entry_of(InodeId parent, const std::string& name,
                            const Attributes& attributes) const;

 private:
  // How long the kernel may keep something, in seconds.
  double timeout_of(const Attributes& attributes) const;
  double timeout_of_name(InodeId parent, const std::string& name, InodeId inode) const;
  // The handle, for the one reply.
  fuse_req_t finish();
  fuse_req_t let_go();
  void put_off();

  fuse_req_t handle_;
  SessionState& state_;
  const Operation operation_;
  const InodeId inode_;
  Interrupt interrupt_;
  RunningOperation running_;
  CallContext context_;
};

// The right to reply to a request that is not served any more, once.
class Request::Later {
 public:
  Later() = default;

  // The request is known as `number` to the session's LockWaits, which is told
  // when its program is interrupted: perhaps within this. Comes before send().
  void on_interrupt(std::uint64_t number);
  void send(const Result<void>& result);

 private:
  friend class Request;
  Later(fuse_req_t handle, SessionState& state, Operation operation, InodeId inode)
      : handle_(handle), state_(&state), operation_(operation), inode_(inode) {}

  fuse_req_t handle_ = nullptr;
  SessionState* state_ = nullptr;
  Operation operation_{};
  InodeId inode_;
};

// Attributes as stat(2) shows them, and as the kernel passes them to statx(2).
struct stat to_stat(const Attributes& attributes);
kernel::Statx to_statx(const Attributes& attributes);

}  // namespace dfs::fuse
