#include "fuse/mount_point.h"

#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "common/base/ids.h"
#include "common/base/log.h"
#include "fuse/fusermount.h"
#include "fuse/mounts/mount_table.h"

namespace dfs::fuse {
namespace {

namespace fs = std::filesystem;

// The path without symbolic links, also when its last part is a dead mount,
// which cannot be looked into.
Result<fs::path> resolve(const fs::path& directory) {
  const fs::path whole = fs::absolute(directory);
  std::error_code error;
  const fs::path canonical = fs::canonical(whole, error);
  if (!error) return canonical;
  if (error.value() != ENOTCONN) return fail_errno(error.value(), directory.native());

  const fs::path trimmed = whole.has_filename() ? whole : whole.parent_path();
  const fs::path parent = fs::canonical(trimmed.parent_path(), error);
  if (error) return fail_errno(error.value(), directory.native());
  return parent / trimmed.filename();
}

// Asks the file system itself: what the kernel still knows of a dead mount
// looks alive for a while. 0 or errno.
int look_at(const fs::path& directory, struct statx& status) {
  const bool answered = ::statx(AT_FDCWD, directory.c_str(), AT_STATX_FORCE_SYNC,
                                STATX_BASIC_STATS, &status) == 0;
  return answered ? 0 : errno;
}

Result<void> take_away_dead_mount(const fs::path& directory) {
  const auto mounted = mounted_at(directory);
  if (mounted && mounted->type != kMountType) {
    return fail(Errc::stale,
                fmt::format("{} is a dead mount of another file system ({} of type {}); take it "
                            "away with: umount -l {}",
                            directory.native(), mounted->source, mounted->type,
                            directory.native()));
  }
  const bool gone = ::umount2(directory.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 ||
                    fuserumount(directory, Unmount::when_unused).has_value();
  if (!gone) {
    return fail(Errc::stale, fmt::format("{} is a dead dfs mount; take it away with: umount -l {}",
                                         directory.native(), directory.native()));
  }
  log_info("fuse", "took away a dead dfs mount ({}) at {}", mounted ? mounted->source : "unknown",
           directory.native());
  return {};
}

std::string kernel_options(const MountPoint::Options& options) {
  std::string text = "default_permissions";
  if (options.allow_other) text += ",allow_other";
  return text;
}

// The helper takes options as text and separates them by commas.
std::string escape_commas(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

Result<UniqueFd> mount_by_system_call(const MountPoint::Options& options) {
  UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device) return fail_errno(errno, "/dev/fuse");
  const std::string data =
      fmt::format("fd={},rootmode={:o},user_id={},group_id={},{}", device.get(), S_IFDIR,
                  ::getuid(), ::getgid(), kernel_options(options));
  if (::mount(options.source.c_str(), options.directory.c_str(), kMountType, options.flags,
              data.c_str()) != 0) {
    return fail_errno(errno, "mounting at " + options.directory.native());
  }
  return device;
}

Result<UniqueFd> mount_by_helper(const MountPoint::Options& options) {
  const std::string text =
      fmt::format("fsname={},subtype=dfs,{}{}{}", escape_commas(options.source),
                  options.flags & MS_NOATIME ? "noatime," : "",
                  options.flags & MS_RDONLY ? "ro," : "", kernel_options(options));
  Result<UniqueFd> device = fusermount(options.directory, text);
  if (device) return device;
  return fail(device.error().code, fmt::format("mounting at {}: {}", options.directory.native(),
                                               device.error().text));
}

Result<void> try_unmount(const fs::path& directory, MountPoint::Method method, Unmount how) {
  if (method == MountPoint::Method::helper) return fuserumount(directory, how);
  const int flags = UMOUNT_NOFOLLOW | (how == Unmount::when_unused ? MNT_DETACH : 0);
  if (::umount2(directory.c_str(), flags) == 0) return {};
  return fail_errno(errno, "umount " + directory.native());
}

}  // namespace

MountPoint::Method MountPoint::default_method() {
  return ::geteuid() == 0 ? Method::system_call : Method::helper;
}

Result<fs::path> MountPoint::prepare(const fs::path& directory) {
  fs::path resolved = TRY(resolve(directory));
  struct statx status {};
  int error = look_at(resolved, status);
  if (error == ENOTCONN || error == ECONNABORTED) {
    TRY(take_away_dead_mount(resolved));
    error = look_at(resolved, status);
  }
  if (error != 0) return fail_errno(error, resolved.native());
  if (!S_ISDIR(status.stx_mode)) {
    return fail(Errc::not_directory, fmt::format("{} is not a directory", resolved.native()));
  }
  const auto mounted = mounted_at(resolved);
  if (mounted && mounted->type == kMountType) {
    return fail(Errc::busy, fmt::format("{} is in use: {} is mounted there", resolved.native(),
                                        mounted->source));
  }
  return resolved;
}

Result<MountPoint> MountPoint::mount(const Options& options) {
  UniqueFd device = TRY(options.method == Method::system_call ? mount_by_system_call(options)
                                                              : mount_by_helper(options));
  return MountPoint(options, std::move(device));
}

MountPoint::MountPoint(Options options, UniqueFd device)
    : options_(std::move(options)), device_(std::move(device)) {}

MountPoint::MountPoint(MountPoint&& other) noexcept
    : options_(std::move(other.options_)),
      device_(std::move(other.device_)),
      mounted_(std::exchange(other.mounted_, false)) {}

MountPoint::~MountPoint() { unmount(); }

Result<void> MountPoint::set_read_ahead(std::uint64_t bytes) {
  const auto mounted = mounted_at(options_.directory);
  if (!mounted) return fail(Errc::not_found, options_.directory.native() + " is not mounted");
  const std::string setting = fmt::format("/sys/class/bdi/{}/read_ahead_kb", mounted->device);
  std::ofstream file(setting);
  file << bytes / KiB << std::flush;
  if (!file) return fail(Errc::not_permitted, "cannot write " + setting);
  return {};
}

MountPoint::Left MountPoint::unmount() {
  if (!std::exchange(mounted_, false)) return Left::nothing;
  const fs::path& directory = options_.directory;
  if (try_unmount(directory, options_.method, Unmount::now)) return Left::nothing;
  log_info("fuse", "{} is still in use; it is taken out of the tree now", directory.native());
  if (auto result = try_unmount(directory, options_.method, Unmount::when_unused); !result) {
    log_warn("fuse", "unmounting {}: {}", directory.native(), result.error().to_string());
  }
  return Left::still_in_use;
}

}  // namespace dfs::fuse
