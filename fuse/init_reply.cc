#include "fuse/init_reply.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "fuse/kernel_abi.h"

namespace dfs::fuse {
namespace {

constexpr std::size_t kInitInBytesWithFlags = offsetof(fuse_init_in, flags2);

// Lists need all of these: an inherited one overrides the umask, and with one
// that its owner sets setgid may have to go.
constexpr std::uint64_t kAccessControlLists =
    FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT;

std::uint64_t wanted_flags(const KernelFeatures& features, std::uint64_t offered) {
  std::uint64_t flags = 0;
  if (features.parallel_directory_operations) flags |= FUSE_PARALLEL_DIROPS;
  if (features.handle_kill_privileges) flags |= FUSE_HANDLE_KILLPRIV_V2;
  if (features.access_control_lists && (offered & kAccessControlLists) == kAccessControlLists) {
    flags |= kAccessControlLists;
  }
  constexpr std::uint64_t kMappedDirectIo = kernel::kDirectIoAllowMmap | FUSE_INIT_EXT;
  if (features.mapped_direct_io && (offered & kMappedDirectIo) == kMappedDirectIo) {
    flags |= kMappedDirectIo;
  }
  return flags & offered;
}

}  // namespace

bool InitReplyEditor::saw_request(BufferView request) {
  if (request.size() < sizeof(fuse_in_header) + kInitInBytesWithFlags) return false;
  fuse_in_header header;
  std::memcpy(&header, request.data(), sizeof header);
  if (header.opcode != FUSE_INIT) return false;

  fuse_init_in body{};
  const BufferView rest = request.subspan(sizeof header);
  std::memcpy(&body, rest.data(), std::min(rest.size(), sizeof body));
  unique_ = header.unique;
  kernel_minor_ = body.minor;
  offered_ = body.flags;
  if (body.flags & FUSE_INIT_EXT) offered_ |= std::uint64_t{body.flags2} << 32;
  return true;
}

std::optional<InitReplyEditor::Edited> InitReplyEditor::edit(std::span<const iovec> reply) {
  if (done_ || !unique_ || reply.empty()) return std::nullopt;
  Edited edited{};
  if (reply[0].iov_len != sizeof edited.header) return std::nullopt;
  std::memcpy(&edited.header, reply[0].iov_base, sizeof edited.header);
  if (edited.header.unique != *unique_) return std::nullopt;
  // A refusal, or the answer for a kernel older than any flag wanted here.
  if (edited.header.error != 0 || reply.size() != 2 ||
      reply[1].iov_len != sizeof edited.body) {
    return std::nullopt;
  }
  std::memcpy(&edited.body, reply[1].iov_base, sizeof edited.body);

  std::uint64_t flags = edited.body.flags | std::uint64_t{edited.body.flags2} << 32;
  flags |= wanted_flags(wanted_, offered_);
  edited.body.flags = static_cast<std::uint32_t>(flags);
  edited.body.flags2 = (flags & FUSE_INIT_EXT) ? static_cast<std::uint32_t>(flags >> 32) : 0;
  agreed_ = edited.body.flags | std::uint64_t{edited.body.flags2} << 32;
  done_ = true;
  return edited;
}

}  // namespace dfs::fuse
