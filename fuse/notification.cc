#include "fuse/notification.h"

#include <array>
#include <cerrno>
#include <span>
#include <sys/uio.h>

#include "common/base/log.h"
#include "common/base/result.h"
#include "fuse/kernel_abi.h"

namespace dfs::fuse {
namespace {

template <typename Part>
iovec part_of(const Part& part) {
  return {const_cast<Part*>(&part), sizeof part};
}

// `parts` has room for the header in front.
void send(int device, int code, std::span<iovec> parts) {
  fuse_out_header header{};
  header.error = code;  // `unique` 0 makes it a notification, whose code is here
  parts[0] = part_of(header);
  for (const iovec& part : parts) header.len += static_cast<std::uint32_t>(part.iov_len);
  if (::writev(device, parts.data(), static_cast<int>(parts.size())) >= 0) return;
  // ENOENT: the kernel does not cache it anyway. ENODEV: unmounted.
  if (errno == ENOENT || errno == ENODEV || errno == ENOTCONN) return;
  log_warn("fuse", "the kernel refused notification {}: {}", code,
           fail_errno(errno, "write").value().text);
}

void notify_inode(int device, InodeId inode, std::int64_t offset, std::int64_t length) {
  fuse_notify_inval_inode_out body{};
  body.ino = inode.value();
  body.off = offset;
  body.len = length;
  std::array<iovec, 2> parts{iovec{}, part_of(body)};
  send(device, FUSE_NOTIFY_INVAL_INODE, parts);
}

}  // namespace

void notify_attributes(int device, InodeId inode) { notify_inode(device, inode, -1, 0); }

void notify_pages(int device, InodeId inode, std::uint64_t offset, std::uint64_t length) {
  notify_inode(device, inode, static_cast<std::int64_t>(offset), static_cast<std::int64_t>(length));
}

void notify_store(int device, InodeId inode, std::uint64_t offset, BufferView bytes) {
  fuse_notify_store_out body{};
  body.nodeid = inode.value();
  body.offset = offset;
  body.size = static_cast<std::uint32_t>(bytes.size());
  std::array<iovec, 3> parts{iovec{}, part_of(body),
                             iovec{const_cast<std::byte*>(bytes.data()), bytes.size()}};
  send(device, FUSE_NOTIFY_STORE, parts);
}

void notify_entry(int device, InodeId parent, const std::string& name) {
  fuse_notify_inval_entry_out body{};
  body.parent = parent.value();
  body.namelen = static_cast<std::uint32_t>(name.size());
  std::array<iovec, 3> parts{iovec{}, part_of(body),
                             iovec{const_cast<char*>(name.c_str()), name.size() + 1}};
  send(device, FUSE_NOTIFY_INVAL_ENTRY, parts);
}

void notify_resend(int device) {
  std::array<iovec, 1> parts{};
  send(device, kernel::kNotifyResend, parts);
}

void notify_all_names(int device) {
  std::array<iovec, 1> parts{};
  send(device, kernel::kNotifyIncrementEpoch, parts);
}

}  // namespace dfs::fuse
