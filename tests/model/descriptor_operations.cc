// Opening, closing, duplicating, and what is done with a descriptor as such.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "tests/model/places.h"
#include "tests/model/side.h"

namespace dfs::model {
namespace {

// A pipe has no other end here, so nobody may wait for one.
constexpr int kAlways = O_CLOEXEC | O_NONBLOCK;

std::string open_flags_text(int flags) {
  std::string text = (flags & O_ACCMODE) == O_RDONLY   ? "O_RDONLY"
                     : (flags & O_ACCMODE) == O_WRONLY ? "O_WRONLY"
                                                       : "O_RDWR";
  const std::pair<int, const char*> names[] = {
      {O_CREAT, "O_CREAT"},   {O_EXCL, "O_EXCL"},           {O_TRUNC, "O_TRUNC"},      {O_APPEND, "O_APPEND"},
      {O_DIRECT, "O_DIRECT"}, {O_DIRECTORY, "O_DIRECTORY"}, {O_NOFOLLOW, "O_NOFOLLOW"}, {O_DSYNC, "O_DSYNC"},
      {O_TMPFILE, "O_TMPFILE"}};
  for (const auto& [flag, name] : names) {
    if ((flags & flag) == flag) text += fmt::format("|{}", name);
  }
  return text;
}

void fill_open(Dice& dice, const Geometry&, Operation& operation) {
  operation.path = any_path(dice, Wanted::file);
  operation.slot = dice.below(kSlots);
  operation.mode = dice.pick<mode_t>({0644, 0600, 0777, 06755, 0});
  int flags = dice.pick({O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, O_RDWR});
  if (!dice.one_in(3)) flags |= O_CREAT;
  if (dice.one_in(8)) flags |= O_EXCL;
  if (dice.one_in(8)) flags |= O_TRUNC;
  if (dice.one_in(5)) flags |= O_APPEND;
  if (dice.one_in(6)) flags |= O_DIRECT;
  if (dice.one_in(40)) flags |= O_DIRECTORY;
  if (dice.one_in(10)) flags |= O_NOFOLLOW;
  if (dice.one_in(60)) flags |= O_DSYNC;
  operation.flags = flags;
}

// O_DIRECT is for regular files; on anything else the kernel refuses it.
bool may_be_direct(const Side& side, const std::string& path) {
  struct stat found {};
  return ::fstatat(side.root(), path.c_str(), &found, 0) != 0 || S_ISREG(found.st_mode);
}

Outcome open(Side& side, const Operation& operation) {
  int flags = operation.flags | kAlways;
  if (side.is_reference()) flags &= ~(O_DIRECT | O_DSYNC);
  if (!may_be_direct(side, operation.path)) flags &= ~O_DIRECT;
  UniqueFd fd(::openat(side.root(), operation.path.c_str(), flags, operation.mode));
  if (!fd) return answered(-1);
  side.put(operation.slot, std::move(fd));
  return {};
}

std::string describe_open(const Operation& operation) {
  return fmt::format("slot {} = open({:?}, {}, 0{:o})", operation.slot, operation.path,
                     open_flags_text(operation.flags), operation.mode);
}

void fill_temporary(Dice& dice, const Geometry&, Operation& operation) {
  operation.path = any_path(dice, Wanted::directory);
  operation.slot = dice.below(kSlots);
  operation.mode = dice.pick<mode_t>({0644, 0600, 06755});
  operation.flags = O_TMPFILE | dice.pick({O_RDWR, O_RDWR, O_WRONLY});
  if (dice.one_in(4)) operation.flags |= O_EXCL;
}
std::optional<Feature> needs_temporary(const Operation&) { return Feature::temporary_open; }

void fill_name_for_slot(Dice& dice, const Geometry&, Operation& operation) {
  operation.uses_slot = true;
  operation.slot = dice.below(kSlots);
  operation.path = any_path(dice, Wanted::file);
}

// What gives a file without a name its first one, and others another.
Outcome name_slot(Side& side, const Operation& operation) {
  const std::string from = fmt::format("/proc/self/fd/{}", side.descriptor(operation.slot));
  return answered(::linkat(AT_FDCWD, from.c_str(), side.root(), operation.path.c_str(), AT_SYMLINK_FOLLOW));
}

void fill_slot(Dice& dice, const Geometry&, Operation& operation) {
  operation.uses_slot = true;
  operation.slot = dice.below(kSlots);
}

Outcome close(Side& side, const Operation& operation) {
  const auto at = side.open_slot(operation.slot);
  if (!at) return {};
  return answered(::close(side.take(*at).release()));
}

void fill_dup(Dice& dice, const Geometry& geometry, Operation& operation) {
  fill_slot(dice, geometry, operation);
  operation.other_slot = dice.below(kSlots);
}

Outcome duplicate(Side& side, const Operation& operation) {
  UniqueFd fd(::fcntl(side.descriptor(operation.slot), F_DUPFD_CLOEXEC, 0));
  if (!fd) return answered(-1);
  side.put(operation.other_slot, std::move(fd));
  return {};
}

// As a program that opened the same file a second time would.
Outcome reopen(Side& side, const Operation& operation) {
  const int old = side.descriptor(operation.slot);
  UniqueFd fd(::open(fmt::format("/proc/self/fd/{}", old).c_str(), O_RDWR | kAlways));
  if (!fd) return answered(-1);
  side.put(operation.other_slot, std::move(fd));
  return {};
}

void fill_sync(Dice& dice, const Geometry& geometry, Operation& operation) {
  fill_slot(dice, geometry, operation);
  operation.flags = dice.one_in(2) ? O_DSYNC : O_SYNC;
}

Outcome sync(Side& side, const Operation& operation) {
  const int fd = side.descriptor(operation.slot);
  struct stat found {};
  const bool is_kept = ::fstat(fd, &found) == 0 && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode));
  if (side.is_reference() && is_kept) return {};
  return answered(operation.flags == O_DSYNC ? ::fdatasync(fd) : ::fsync(fd));
}

// The kernel drops the file's clean pages, so that the next read asks again.
Outcome forget_pages(Side& side, const Operation& operation) {
  const int fd = side.descriptor(operation.slot);
  if (!is_regular(fd)) return {};
  Outcome outcome;
  outcome.value = ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  return outcome;
}

constexpr OperationKind kKinds[] = {
    {"open", 110, fill_open, open, describe_open},
    {"tmpfile", 12, fill_temporary, open, describe_open, needs_temporary},
    {"name", 15, fill_name_for_slot, name_slot,
     [](const Operation& operation) {
       return fmt::format("link(/proc/self/fd/ of slot {}, {:?})", operation.slot, operation.path);
     }},
    {"close", 35, fill_slot, close,
     [](const Operation& operation) { return fmt::format("close(slot {})", operation.slot); }},
    {"dup", 10, fill_dup, duplicate,
     [](const Operation& operation) {
       return fmt::format("slot {} = dup(slot {})", operation.other_slot, operation.slot);
     }},
    {"reopen", 10, fill_dup, reopen,
     [](const Operation& operation) {
       return fmt::format("slot {} = open(/proc/self/fd/ of slot {}, O_RDWR)", operation.other_slot, operation.slot);
     }},
    {"sync", 12, fill_sync, sync,
     [](const Operation& operation) {
       return fmt::format("{}(slot {})", operation.flags == O_DSYNC ? "fdatasync" : "fsync", operation.slot);
     }},
    {"forget_pages", 15, fill_slot, forget_pages,
     [](const Operation& operation) { return fmt::format("posix_fadvise(slot {}, DONTNEED)", operation.slot); }},
};

}  // namespace

std::span<const OperationKind> descriptor_operations() { return kKinds; }

}  // namespace dfs::model
