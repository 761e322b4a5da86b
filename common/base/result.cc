#include "common/base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace dfs {
namespace {

struct Row {
  Errc code;
  int error;
  std::string_view name;
};

constexpr Row kRows[] = {
    {Errc::ok, 0, "ok"},
    {Errc::not_found, ENOENT, "not_found"},
    {Errc::exists, EEXIST, "exists"},
    {Errc::not_directory, ENOTDIR, "not_directory"},
    {Errc::is_directory, EISDIR, "is_directory"},
    {Errc::not_empty, ENOTEMPTY, "not_empty"},
    {Errc::access, EACCES, "access"},
    {Errc::not_permitted, EPERM, "not_permitted"},
    {Errc::invalid, EINVAL, "invalid"},
    {Errc::name_too_long, ENAMETOOLONG, "name_too_long"},
    {Errc::too_many_links, EMLINK, "too_many_links"},
    {Errc::loop, ELOOP, "loop"},
    {Errc::cross_device, EXDEV, "cross_device"},
    {Errc::no_space, ENOSPC, "no_space"},
    {Errc::quota, EDQUOT, "quota"},
    {Errc::file_too_big, EFBIG, "file_too_big"},
    {Errc::read_only, EROFS, "read_only"},
    {Errc::no_data, ENODATA, "no_data"},
    {Errc::range, ERANGE, "range"},
    {Errc::unsupported, EOPNOTSUPP, "unsupported"},
    {Errc::io, EIO, "io"},
    {Errc::stale, ESTALE, "stale"},
    {Errc::interrupted, EINTR, "interrupted"},
    {Errc::busy, EBUSY, "busy"},
    {Errc::again, EAGAIN, "again"},
    {Errc::bad_descriptor, EBADF, "bad_descriptor"},
    {Errc::too_big, E2BIG, "too_big"},
    {Errc::no_memory, ENOMEM, "no_memory"},
    {Errc::deadlock, EDEADLK, "deadlock"},
    {Errc::no_locks, ENOLCK, "no_locks"},
    {Errc::unavailable, EIO, "unavailable"},
    {Errc::timed_out, EIO, "timed_out"},
    {Errc::overloaded, EIO, "overloaded"},
    {Errc::corrupt, EIO, "corrupt"},
    {Errc::wrong_cluster, EIO, "wrong_cluster"},
    {Errc::wrong_version, EIO, "wrong_version"},
    {Errc::stale_epoch, EIO, "stale_epoch"},
    {Errc::session_lost, EIO, "session_lost"},
    {Errc::bad_message, EIO, "bad_message"},
    {Errc::internal, EIO, "internal"},
    {Errc::would_wait, EIO, "would_wait"},
};

const Row& row_of(Errc code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row;
  }
  return row_of(Errc::internal);
}

}  // namespace

int to_errno(Errc code) { return row_of(code).error; }

std::string_view name_of(Errc code) { return row_of(code).name; }

Errc from_errno(int error) {
  // Descriptors come back when load goes or the limit is raised; no disk is
  // failing because of them.
  if (error == EMFILE || error == ENFILE) return Errc::overloaded;
  for (const Row& row : kRows) {
    if (row.error == error) return row.code;
  }
  return Errc::io;
}

bool is_retryable(Errc code) {
  switch (code) {
    case Errc::unavailable:
    case Errc::timed_out:
    case Errc::overloaded:
    case Errc::again:
    case Errc::stale_epoch:
      return true;
    default:
      return false;
  }
}

std::string Error::to_string() const {
  const std::string name(name_of(code));
  return text.empty() ? name : text + " (" + name + ")";
}

tl::unexpected<Error> fail_errno(int error, std::string_view what) {
  std::string text = std::string(what) + ": " + std::generic_category().message(error);
  if (error == EMFILE) text += "; raise this program's limit (ulimit -n, LimitNOFILE of a systemd unit)";
  if (error == ENFILE) text += " on this machine; raise fs.file-max";
  return fail(from_errno(error), std::move(text));
}

namespace detail {
void invariant_broken(std::string_view why, const std::source_location& where) {
  std::fprintf(stderr, "%s:%u: broken invariant in %s: %.*s\n", where.file_name(), where.line(),
               where.function_name(), static_cast<int>(why.size()), why.data());
  std::abort();
}
}  // namespace detail

}  // namespace dfs
