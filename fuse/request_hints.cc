#include "fuse/request_hints.h"

#include <cstring>

#include "fuse/kernel_abi.h"

namespace dfs::fuse {
namespace {

thread_local RequestHints current;

template <typename Body>
Body body_of(BufferView request) {
  Body body{};
  if (request.size() >= sizeof(fuse_in_header) + sizeof body) {
    std::memcpy(&body, request.data() + sizeof(fuse_in_header), sizeof body);
  }
  return body;
}

fuse_in_header header_of(BufferView request) {
  fuse_in_header header{};
  if (request.size() >= sizeof header) std::memcpy(&header, request.data(), sizeof header);
  return header;
}

std::uint32_t opcode_of(BufferView request) { return header_of(request).opcode; }

MutableBuffer with_opcode(MutableBuffer request, std::uint32_t opcode) {
  fuse_in_header header;
  std::memcpy(&header, request.data(), sizeof header);
  header.opcode = opcode;
  std::memcpy(request.data(), &header, sizeof header);
  return request;
}

bool is_extended_setxattr(BufferView request, std::uint64_t agreed_flags) {
  return (agreed_flags & FUSE_SETXATTR_EXT) != 0 && opcode_of(request) == FUSE_SETXATTR &&
         request.size() >= sizeof(fuse_in_header) + sizeof(fuse_setxattr_in);
}

}  // namespace

RequestHints hints_of(BufferView request, std::uint64_t agreed_flags) {
  const fuse_in_header header = header_of(request);
  RequestHints hints;
  hints.number = header.unique & ~kernel::kUniqueResend;
  hints.is_repeated = (header.unique & kernel::kUniqueResend) != 0;
  switch (header.opcode) {
    case FUSE_WRITE:
      hints.kill_set_id = body_of<fuse_write_in>(request).write_flags & FUSE_WRITE_KILL_SUIDGID;
      break;
    case FUSE_OPEN:
      hints.kill_set_id = body_of<fuse_open_in>(request).open_flags & FUSE_OPEN_KILL_SUIDGID;
      break;
    case FUSE_CREATE:
      hints.kill_set_id = body_of<fuse_create_in>(request).open_flags & FUSE_OPEN_KILL_SUIDGID;
      break;
    case FUSE_TMPFILE:
      hints.unnamed = true;
      break;
    case kernel::kStatx:
      hints.statx = true;
      break;
    case FUSE_SETXATTR:
      hints.kill_set_gid =
          is_extended_setxattr(request, agreed_flags) &&
          body_of<fuse_setxattr_in>(request).setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID;
      break;
    default:
      break;
  }
  return hints;
}

MutableBuffer as_libfuse_reads(MutableBuffer request, std::uint64_t agreed_flags) {
  switch (opcode_of(request)) {
    case FUSE_TMPFILE: return with_opcode(request, FUSE_CREATE);
    case kernel::kStatx: return with_opcode(request, FUSE_GETATTR);
    default: break;
  }
  if (!is_extended_setxattr(request, agreed_flags)) return request;
  constexpr std::size_t kLeftOut = sizeof(fuse_setxattr_in) - FUSE_COMPAT_SETXATTR_IN_SIZE;
  constexpr std::size_t kKept = sizeof(fuse_in_header) + FUSE_COMPAT_SETXATTR_IN_SIZE;
  fuse_in_header header;
  std::memcpy(&header, request.data(), sizeof header);
  header.len -= kLeftOut;
  std::memcpy(request.data(), &header, sizeof header);
  // What follows may be long, so what is before moves.
  std::memmove(request.data() + kLeftOut, request.data(), kKept);
  return request.subspan(kLeftOut);
}

void set_current_hints(RequestHints hints) { current = hints; }
RequestHints current_hints() { return current; }

}  // namespace dfs::fuse
