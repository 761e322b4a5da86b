// Modes, owners, times and extended attributes, by name and by descriptor.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include <fmt/format.h>

#include "tests/model/places.h"
#include "tests/model/side.h"

namespace dfs::model {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

void fill_place(Dice& dice, Operation& operation) {
  operation.uses_slot = dice.one_in(3);
  if (operation.uses_slot) {
    operation.slot = dice.below(kSlots);
  } else {
    operation.path = any_path(dice, dice.one_in(4) ? Wanted::directory : Wanted::file);
  }
}

std::string place_text(const Operation& operation) {
  return operation.uses_slot ? fmt::format("slot {}", operation.slot) : fmt::format("{:?}", operation.path);
}

void fill_mode(Dice& dice, const Geometry&, Operation& operation) {
  fill_place(dice, operation);
  operation.mode = dice.pick<mode_t>({0644, 0600, 0, 0777, 04755, 02755, 06711, 01777, 02770});
}
Outcome change_mode(Side& side, const Operation& operation) {
  if (operation.uses_slot) return answered(::fchmod(side.descriptor(operation.slot), operation.mode));
  return answered(::fchmodat(side.root(), operation.path.c_str(), operation.mode, 0));
}

void fill_owner(Dice& dice, const Geometry&, Operation& operation) {
  fill_place(dice, operation);
  operation.uid = dice.pick<uid_t>({0, 1000, 65534, static_cast<uid_t>(-1)});
  operation.gid = dice.pick<gid_t>({0, 100, 1000, static_cast<gid_t>(-1)});
  operation.flags = dice.one_in(2) ? AT_SYMLINK_NOFOLLOW : 0;
}
Outcome change_owner(Side& side, const Operation& operation) {
  if (operation.uses_slot) return answered(::fchown(side.descriptor(operation.slot), operation.uid, operation.gid));
  return answered(::fchownat(side.root(), operation.path.c_str(), operation.uid, operation.gid, operation.flags));
}

// Whole and broken seconds, before 1970 too; what the reference can keep.
std::int64_t any_time(Dice& dice) {
  return dice.pick<std::int64_t>({0, 1, kSecond - 1, -kSecond, -1, 1'700'000'000 * kSecond + 123'456'789,
                                  static_cast<std::int64_t>(dice.below(4'000'000'000)) * kSecond});
}

void fill_times(Dice& dice, const Geometry&, Operation& operation) {
  fill_place(dice, operation);
  operation.access_ns = any_time(dice);
  operation.modify_ns = any_time(dice);
  operation.flags = static_cast<int>(dice.below(4));  // bit 0: access is UTIME_OMIT, bit 1: modify
}

timespec time_of(std::int64_t nanoseconds, bool omit) {
  timespec time{};
  time.tv_sec = nanoseconds / kSecond - (nanoseconds % kSecond < 0 ? 1 : 0);
  time.tv_nsec = omit ? UTIME_OMIT : (nanoseconds % kSecond + kSecond) % kSecond;
  return time;
}

std::string times_text(const struct stat& found, int omitted) {
  std::string text;
  if ((omitted & 1) == 0) text += fmt::format("a {}.{} ", found.st_atim.tv_sec, found.st_atim.tv_nsec);
  if ((omitted & 2) == 0) text += fmt::format("m {}.{}", found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
  return text;
}

Outcome change_times(Side& side, const Operation& operation) {
  const timespec times[] = {time_of(operation.access_ns, (operation.flags & 1) != 0),
                            time_of(operation.modify_ns, (operation.flags & 2) != 0)};
  struct stat found {};
  Outcome outcome;
  if (operation.uses_slot) {
    const int fd = side.descriptor(operation.slot);
    outcome = answered(::futimens(fd, times));
    if (outcome.value == 0) ::fstat(fd, &found);
  } else {
    outcome = answered(::utimensat(side.root(), operation.path.c_str(), times, AT_SYMLINK_NOFOLLOW));
    if (outcome.value == 0) ::fstatat(side.root(), operation.path.c_str(), &found, AT_SYMLINK_NOFOLLOW);
  }
  if (outcome.value == 0) outcome.bytes = times_text(found, operation.flags);
  return outcome;
}

// The size of a directory and the links to one that is open and gone are up to the file system.
std::string facts_text(const struct stat& found) {
  const bool directory = S_ISDIR(found.st_mode);
  return fmt::format("mode 0{:o}, {} links, {}:{}, {} bytes", found.st_mode, found.st_nlink, found.st_uid,
                     found.st_gid, directory ? 0 : found.st_size);
}

void fill_stat(Dice& dice, const Geometry&, Operation& operation) { fill_place(dice, operation); }
Outcome look(Side& side, const Operation& operation) {
  struct stat found {};
  Outcome outcome =
      operation.uses_slot
          ? answered(::fstat(side.descriptor(operation.slot), &found))
          : answered(::fstatat(side.root(), operation.path.c_str(), &found, AT_SYMLINK_NOFOLLOW));
  if (outcome.value == 0) outcome.bytes = facts_text(found);
  return outcome;
}

// --- extended attributes -------------------------------------------------------------

void fill_attribute(Dice& dice, const Geometry&, Operation& operation) {
  fill_place(dice, operation);
  operation.name = dice.pick<const char*>({"user.a", "user.b", "user.c", "trusted.a", "user.", "nonsense"});
  operation.length = dice.pick<std::uint64_t>({0, 1, 20, 300});
  operation.flags = dice.pick<int>({0, 0, XATTR_CREATE, XATTR_REPLACE});
  operation.seed = dice.number();
}
std::optional<Feature> needs_attributes(const Operation& operation) {
  if (operation.name.starts_with("user.")) return Feature::user_xattrs;
  if (operation.name.starts_with("trusted.")) return Feature::trusted_xattrs;
  return std::nullopt;
}
std::string attribute_text(const Operation& operation) {
  return fmt::format("{}({}, {}, {} bytes, flags {})", operation.kind->name, place_text(operation), operation.name,
                     operation.length, operation.flags);
}

// The mount keeps none of what is removed while it is in use, open files aside.
bool has_lost_attributes(const Side& side, const Operation& operation) {
  struct stat found {};
  return operation.uses_slot && ::fstat(side.descriptor(operation.slot), &found) == 0 &&
         !S_ISREG(found.st_mode) && found.st_nlink == 0;
}

Outcome set_attribute(Side& side, const Operation& operation) {
  if (has_lost_attributes(side, operation)) return {};
  const std::string value = pattern(operation.seed, operation.length);
  if (operation.uses_slot)
    return answered(::fsetxattr(side.descriptor(operation.slot), operation.name.c_str(), value.data(), value.size(),
                                operation.flags));
  return answered(::lsetxattr(side.path(operation.path).c_str(), operation.name.c_str(), value.data(), value.size(),
                              operation.flags));
}

Outcome get_attribute(Side& side, const Operation& operation) {
  if (has_lost_attributes(side, operation)) return {};
  std::string value(operation.length, '?');
  const ssize_t length =
      operation.uses_slot
          ? ::fgetxattr(side.descriptor(operation.slot), operation.name.c_str(), value.data(), value.size())
          : ::lgetxattr(side.path(operation.path).c_str(), operation.name.c_str(), value.data(), value.size());
  Outcome outcome = answered(length);
  if (length > 0 && operation.length > 0) outcome.bytes = value.substr(0, static_cast<std::size_t>(length));
  return outcome;
}

Outcome remove_attribute(Side& side, const Operation& operation) {
  if (has_lost_attributes(side, operation)) return {};
  if (operation.uses_slot)
    return answered(::fremovexattr(side.descriptor(operation.slot), operation.name.c_str()));
  return answered(::lremovexattr(side.path(operation.path).c_str(), operation.name.c_str()));
}

Outcome list_attributes(Side& side, const Operation& operation) {
  if (has_lost_attributes(side, operation)) return {};
  std::string names(4096, '\0');
  const ssize_t length = operation.uses_slot
                             ? ::flistxattr(side.descriptor(operation.slot), names.data(), names.size())
                             : ::llistxattr(side.path(operation.path).c_str(), names.data(), names.size());
  if (length < 0) return answered(-1);
  std::vector<std::string> sorted;
  for (std::size_t at = 0; at < static_cast<std::size_t>(length); at += sorted.back().size() + 1)
    sorted.emplace_back(names.c_str() + at);
  std::sort(sorted.begin(), sorted.end());
  Outcome outcome;
  outcome.value = length;
  for (const std::string& name : sorted) outcome.bytes += name + "\n";
  return outcome;
}

std::string simple_text(const Operation& operation) {
  return fmt::format("{}({})", operation.kind->name, place_text(operation));
}

constexpr OperationKind kKinds[] = {
    {"chmod", 20, fill_mode, change_mode,
     [](const Operation& operation) { return fmt::format("chmod({}, 0{:o})", place_text(operation), operation.mode); }},
    {"chown", 12, fill_owner, change_owner,
     [](const Operation& operation) {
       return fmt::format("chown({}, {}, {}, flags {})", place_text(operation), static_cast<int>(operation.uid),
                          static_cast<int>(operation.gid), operation.flags);
     }},
    {"utimens", 12, fill_times, change_times,
     [](const Operation& operation) {
       return fmt::format("utimens({}, {} ns{}, {} ns{})", place_text(operation), operation.access_ns,
                          (operation.flags & 1) != 0 ? " omitted" : "", operation.modify_ns,
                          (operation.flags & 2) != 0 ? " omitted" : "");
     }},
    {"stat", 40, fill_stat, look, simple_text},
    {"setxattr", 20, fill_attribute, set_attribute, attribute_text, needs_attributes},
    {"getxattr", 20, fill_attribute, get_attribute, attribute_text, needs_attributes},
    {"removexattr", 8, fill_attribute, remove_attribute, attribute_text, needs_attributes},
    {"listxattr", 8, fill_stat, list_attributes, simple_text},
};

}  // namespace

std::span<const OperationKind> attribute_operations() { return kKinds; }

}  // namespace dfs::model
