// Errors as values: Errc, Error, Result<T>, fail(), TRY and invariant().
//
// Errc lists every failure a file system can report to a program, one errno
// each, followed by the few that stay between our own programs. The numbers
// are the wire's (proto/dfs/v1/error.proto) and never change meaning.
#pragma once

#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace dfs {

enum class Errc : std::uint16_t {
  ok = 0,

  // What a program on the mount may see.
  not_found = 1,        // ENOENT
  exists = 2,           // EEXIST
  not_directory = 3,    // ENOTDIR
  is_directory = 4,     // EISDIR
  not_empty = 5,        // ENOTEMPTY
  access = 6,           // EACCES
  not_permitted = 7,    // EPERM
  invalid = 8,          // EINVAL
  name_too_long = 9,    // ENAMETOOLONG
  too_many_links = 10,  // EMLINK
  loop = 11,            // ELOOP
  cross_device = 12,    // EXDEV
  no_space = 13,        // ENOSPC
  quota = 14,           // EDQUOT
  file_too_big = 15,    // EFBIG
  read_only = 16,       // EROFS
  no_data = 17,         // ENODATA: no such extended attribute
  range = 18,           // ERANGE
  unsupported = 19,     // EOPNOTSUPP
  io = 20,              // EIO: bytes that cannot be had or are wrong
  stale = 21,           // ESTALE: the inode is gone
  interrupted = 22,     // EINTR
  busy = 23,            // EBUSY
  again = 24,           // EAGAIN
  bad_descriptor = 25,  // EBADF
  too_big = 26,         // E2BIG: an extended attribute value over the limit
  no_memory = 27,       // ENOMEM
  deadlock = 28,        // EDEADLK
  no_locks = 29,        // ENOLCK

  // What stays between our programs; on a mount each ends as EIO.
  unavailable = 64,     // nobody answered; trying again may help
  timed_out = 65,       // no answer in time; trying again may help
  overloaded = 66,      // a queue is full; trying again later helps
  corrupt = 67,         // a checksum or a record does not hold
  wrong_cluster = 68,   // the other side belongs to another cluster
  wrong_version = 69,   // the other side speaks another protocol version
  stale_epoch = 70,     // the caller's view of a group or session is old
  session_lost = 71,    // the server does not know this session any more
  bad_message = 72,     // a message breaks the protocol
  internal = 73,        // a defect of ours
  would_wait = 74,      // the caller asked not to wait for a server; never on the wire
};

// The errno a program on the mount gets. Never 0 for anything but ok.
int to_errno(Errc code);
// The Errc for an errno from the local system; EMFILE and ENFILE are `overloaded`, unknown ones `io`.
Errc from_errno(int error);
// "not_found" etc.: stable, for logs and JSON.
std::string_view name_of(Errc code);
// True if the same request may succeed when sent again unchanged.
bool is_retryable(Errc code);

struct Error {
  Errc code = Errc::internal;
  std::string text;  // one sentence for a person; may be empty

  // "text (name)" or just the name.
  std::string to_string() const;
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Errc code, std::string text = {}) {
  return tl::unexpected<Error>(Error{code, std::move(text)});
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}
// The error of the last system call: "open /x: No such file or directory".
tl::unexpected<Error> fail_errno(int error, std::string_view what);

namespace detail {
template <typename T>
T take(Result<T>&& result) {
  return *std::move(result);
}
inline void take(Result<void>&&) {}
[[noreturn]] void invariant_broken(std::string_view why, const std::source_location& where);
}  // namespace detail

// Passes an error up. Stands alone on a line: g++ 12 does not destroy
// temporaries that an early return jumps over inside a larger expression.
#define TRY(expression)                                            \
  __extension__({                                                  \
    auto try_result_ = (expression);                               \
    if (!try_result_)                                              \
      return ::tl::unexpected<::dfs::Error>(std::move(try_result_).error()); \
    ::dfs::detail::take(std::move(try_result_));                   \
  })

// Stops the process when a promise of our own does not hold; in release
// builds too. For input from outside return an Error instead.
inline void invariant(bool holds, std::string_view why,
                      const std::source_location& where = std::source_location::current()) {
  if (!holds) [[unlikely]] detail::invariant_broken(why, where);
}

}  // namespace dfs
