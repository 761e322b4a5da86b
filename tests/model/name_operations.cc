// Names that come, go and change.
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "tests/model/places.h"
#include "tests/model/side.h"

namespace dfs::model {
namespace {

Wanted mostly(Dice& dice, Wanted wanted) {
  if (!dice.one_in(5)) return wanted;
  return wanted == Wanted::file ? Wanted::directory : Wanted::file;
}

template <Wanted kWanted>
void fill_path(Dice& dice, const Geometry&, Operation& operation) {
  operation.path = any_path(dice, mostly(dice, kWanted));
  operation.mode = dice.pick<mode_t>({0755, 0700, 02775, 01777, 0644});
}

template <Wanted kWanted>
void fill_two_paths(Dice& dice, const Geometry&, Operation& operation) {
  operation.path = any_path(dice, kWanted);
  operation.other_path = any_path(dice, mostly(dice, kWanted));
}

Outcome make_directory(Side& side, const Operation& operation) {
  return answered(::mkdirat(side.root(), operation.path.c_str(), operation.mode));
}
Outcome remove_directory(Side& side, const Operation& operation) {
  return answered(::unlinkat(side.root(), operation.path.c_str(), AT_REMOVEDIR));
}
Outcome unlink(Side& side, const Operation& operation) {
  return answered(::unlinkat(side.root(), operation.path.c_str(), 0));
}
Outcome make_pipe(Side& side, const Operation& operation) {
  return answered(::mkfifoat(side.root(), operation.path.c_str(), operation.mode));
}

void fill_rename(Dice& dice, const Geometry& geometry, Operation& operation) {
  if (dice.one_in(3)) {
    fill_two_paths<Wanted::directory>(dice, geometry, operation);
  } else {
    fill_two_paths<Wanted::file>(dice, geometry, operation);
  }
  operation.flags = dice.pick<int>({0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE});
}
Outcome rename(Side& side, const Operation& operation) {
  return answered(::renameat2(side.root(), operation.path.c_str(), side.root(), operation.other_path.c_str(),
                              static_cast<unsigned>(operation.flags)));
}
std::optional<Feature> needs_of_rename(const Operation& operation) {
  if (operation.flags == RENAME_NOREPLACE) return Feature::rename_noreplace;
  if (operation.flags == RENAME_EXCHANGE) return Feature::rename_exchange;
  return std::nullopt;
}

void fill_link(Dice& dice, const Geometry& geometry, Operation& operation) {
  fill_two_paths<Wanted::file>(dice, geometry, operation);
  operation.flags = dice.one_in(4) ? AT_SYMLINK_FOLLOW : 0;
}
Outcome link(Side& side, const Operation& operation) {
  return answered(::linkat(side.root(), operation.path.c_str(), side.root(), operation.other_path.c_str(),
                           operation.flags));
}

void fill_symlink(Dice& dice, const Geometry& geometry, Operation& operation) {
  fill_path<Wanted::file>(dice, geometry, operation);
  // Targets lie below the link, so that ".." behind one stays inside as well.
  operation.name = dice.pick<const char*>({"a", "b", "f", "g", "a/f", "b/g", "a/b", "nowhere"});
}
Outcome symlink(Side& side, const Operation& operation) {
  return answered(::symlinkat(operation.name.c_str(), side.root(), operation.path.c_str()));
}

Outcome read_link(Side& side, const Operation& operation) {
  std::array<char, 512> target{};
  const ssize_t length = ::readlinkat(side.root(), operation.path.c_str(), target.data(), target.size());
  Outcome outcome = answered(length);
  if (length > 0) outcome.bytes.assign(target.data(), static_cast<std::size_t>(length));
  return outcome;
}

// How programs replace a file in one step: a new one, written, renamed over it.
void fill_replace(Dice& dice, const Geometry& geometry, Operation& operation) {
  fill_path<Wanted::file>(dice, geometry, operation);
  operation.length = any_length(dice, geometry, 0);
  operation.seed = dice.number();
}
Outcome replace(Side& side, const Operation& operation) {
  constexpr const char* kTemporary = "replacement";
  UniqueFd fd(::openat(side.root(), kTemporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) return answered(-1);
  const std::string bytes = pattern(operation.seed, operation.length);
  const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
  if (written < 0) return answered(-1);
  if (::close(fd.release()) != 0) return answered(-1);
  const Outcome outcome = answered(::renameat(side.root(), kTemporary, side.root(), operation.path.c_str()));
  if (outcome.value != 0) ::unlinkat(side.root(), kTemporary, 0);
  return outcome;
}

std::string mode_text(const Operation& operation) {
  return fmt::format("{}({:?}, 0{:o})", operation.kind->name, operation.path, operation.mode);
}
std::string path_text(const Operation& operation) {
  return fmt::format("{}({:?})", operation.kind->name, operation.path);
}

constexpr OperationKind kKinds[] = {
    {"mkdir", 40, fill_path<Wanted::directory>, make_directory, mode_text},
    {"rmdir", 10, fill_path<Wanted::directory>, remove_directory, path_text},
    {"unlink", 30, fill_path<Wanted::file>, unlink, path_text},
    {"mkfifo", 3, fill_path<Wanted::file>, make_pipe, mode_text},
    {"rename", 40, fill_rename, rename,
     [](const Operation& operation) {
       return fmt::format("rename({:?}, {:?}, {})", operation.path, operation.other_path,
                          operation.flags == RENAME_NOREPLACE  ? "NOREPLACE"
                          : operation.flags == RENAME_EXCHANGE ? "EXCHANGE"
                                                               : "0");
     },
     needs_of_rename},
    {"link", 25, fill_link, link,
     [](const Operation& operation) {
       return fmt::format("link({:?}, {:?}, {})", operation.path, operation.other_path,
                          operation.flags == 0 ? "0" : "AT_SYMLINK_FOLLOW");
     }},
    {"symlink", 10, fill_symlink, symlink,
     [](const Operation& operation) { return fmt::format("symlink({:?}, {:?})", operation.name, operation.path); }},
    {"readlink", 8, fill_path<Wanted::file>, read_link, path_text},
    {"replace", 12, fill_replace, replace,
     [](const Operation& operation) {
       return fmt::format("write {} bytes beside {:?} and rename over it", operation.length, operation.path);
     }},
};

}  // namespace

std::span<const OperationKind> name_operations() { return kKinds; }

}  // namespace dfs::model
