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

}  // namespace

RequestHints hints_of(BufferView request) {
  fuse_in_header header{};
  if (request.size() < sizeof header) return {};
  std::memcpy(&header, request.data(), sizeof header);
  switch (header.opcode) {
    case FUSE_WRITE:
      return {(body_of<fuse_write_in>(request).write_flags & FUSE_WRITE_KILL_SUIDGID) != 0};
    case FUSE_OPEN:
      return {(body_of<fuse_open_in>(request).open_flags & FUSE_OPEN_KILL_SUIDGID) != 0};
    case FUSE_CREATE:
      return {(body_of<fuse_create_in>(request).open_flags & FUSE_OPEN_KILL_SUIDGID) != 0};
    default:
      return {};
  }
}

void set_current_hints(RequestHints hints) { current = hints; }
RequestHints current_hints() { return current; }

}  // namespace dfs::fuse
