#include <string_view>
#include <sys/xattr.h>

#include "common/rpc/consistency.h"
#include "fuse/operations.h"
#include "fuse/request_hints.h"

namespace dfs::fuse {
namespace {

constexpr std::string_view kKept[] = {"user.", "trusted.", "security."};

// The label of SELinux, which takes none from a FUSE file system itself. Linux
// remembers no extended attribute, and `ls -l` asks each file for this one, unless
// it hears that there are no labels here.
constexpr std::string_view kLabel = "security.selinux";

// Of the names under "system." Linux knows these.
bool is_access_control_list(std::string_view name) {
  return name == "system.posix_acl_access" || name == "system.posix_acl_default";
}

// As local file systems answer. A list that nobody enforced would be worse than none.
Result<void> check_name(const Request& request, std::string_view name) {
  if (is_access_control_list(name) && request.state().has_access_control_lists()) return {};
  if (name == kConsistencyName) return {};
  for (const std::string_view kind : kKept) {
    if (!name.starts_with(kind)) continue;
    if (name.size() == kind.size()) return fail(Errc::invalid, "an attribute without a name");
    return {};
  }
  return fail(Errc::unsupported, "attributes of this kind are not kept");
}

Result<std::string> value_of(Request& request, InodeId inode, const char* name) {
  TRY(check_name(request, name));
  auto value = request.files().get_xattr(inode, name, request.context());
  if (!value && value.error().code == Errc::no_data && name == kLabel)
    return fail(Errc::unsupported, "the file has no label");
  return value;
}

// The names as listxattr(2) wants them: one after another, each ended by NUL.
Result<std::string> names_of(Request& request, InodeId inode) {
  const auto names = TRY(request.files().list_xattr(inode, request.context()));
  std::string all;
  for (const std::string& name : names) {
    all += name;
    all += '\0';
  }
  return all;
}

// size 0 asks how long it is.
void reply_value(Request& request, const Result<std::string>& value, std::size_t size) {
  if (!value) return request.reply_error(value.error());
  if (size == 0) return request.reply_xattr_size(value->size());
  if (value->size() > size) return request.reply_error({Errc::range, {}});
  request.reply_bytes(as_bytes(*value));
}

}  // namespace

void do_setxattr(fuse_req_t handle, fuse_ino_t inode, const char* name, const char* value,
                 std::size_t size, int flags) {
  Request request(handle, Operation::setxattr, InodeId{inode});
  if (auto allowed = check_name(request, name); !allowed) return request.reply_error(allowed.error());
  SetXattrArgs args;
  args.inode = InodeId{inode};
  args.name = name;
  args.value.assign(value, size);
  args.create_only = (flags & XATTR_CREATE) != 0;
  args.replace_only = (flags & XATTR_REPLACE) != 0;
  args.clear_set_gid = current_hints().kill_set_gid;
  const auto set = request.files().set_xattr(args, request.context());
  request.changed();
  request.reply(set);
}

void do_getxattr(fuse_req_t handle, fuse_ino_t inode, const char* name, std::size_t size) {
  Request request(handle, Operation::getxattr, InodeId{inode});
  reply_value(request, value_of(request, InodeId{inode}, name), size);
}

void do_listxattr(fuse_req_t handle, fuse_ino_t inode, std::size_t size) {
  Request request(handle, Operation::listxattr, InodeId{inode});
  reply_value(request, names_of(request, InodeId{inode}), size);
}

void do_removexattr(fuse_req_t handle, fuse_ino_t inode, const char* name) {
  Request request(handle, Operation::removexattr, InodeId{inode});
  if (auto allowed = check_name(request, name); !allowed) return request.reply_error(allowed.error());
  const auto removed = request.files().remove_xattr(InodeId{inode}, name, request.context());
  request.changed();
  request.reply(removed);
}

}  // namespace dfs::fuse
