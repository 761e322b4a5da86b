// Listings, also of a directory that changes under them.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "tests/model/places.h"
#include "tests/model/side.h"

namespace dfs::model {
namespace {

constexpr std::uint64_t kCrowdMax = 400;
constexpr int kStirs = 30;  // in one listing, however many entries that has

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Listing = std::unique_ptr<DIR, CloseDirectory>;

Listing list(int root, const char* path) {
  const int fd = ::openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return Listing(fd < 0 ? nullptr : ::fdopendir(fd));
}

void fill_list(Dice& dice, const Geometry&, Operation& operation) {
  operation.path = any_path(dice, Wanted::directory);
}
Outcome list_all(Side& side, const Operation& operation) {
  const Listing listing = list(side.root(), operation.path.c_str());
  if (!listing) return answered(-1);
  std::map<std::string, int> found;
  while (const dirent* entry = ::readdir(listing.get())) {
    if (!found.emplace(entry->d_name, entry->d_type).second)
      return complain(fmt::format("{:?} is listed twice", entry->d_name));
  }
  Outcome outcome;
  for (const auto& [name, type] : found) outcome.bytes += fmt::format("{} {}\n", name, type);
  return outcome;
}

std::string crowd_name(std::uint64_t number) { return fmt::format("{}/entry-{}", kCrowd, number); }

void fill_crowd(Dice& dice, const Geometry&, Operation& operation) {
  operation.seed = dice.number();
  operation.length = dice.between(1, 40);
}

// Some entries come, some go.
void stir(Side& side, Dice& dice, std::uint64_t count, std::set<std::string>& touched) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string name = crowd_name(dice.below(kCrowdMax));
    touched.insert(name.substr(name.find('/') + 1));
    if (::unlinkat(side.root(), name.c_str(), 0) == 0) continue;
    const UniqueFd made(::openat(side.root(), name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  }
}

Outcome stir_crowd(Side& side, const Operation& operation) {
  ::mkdirat(side.root(), kCrowd, 0755);
  Dice dice(operation.seed, 0);
  std::set<std::string> touched;
  stir(side, dice, operation.length, touched);
  return {};
}

// What stays while a directory is listed is listed once; what comes or goes
// meanwhile may be listed or not, and twice if it is another one of the same
// name. Now and then the reader goes back to where it was.
Outcome list_changing_crowd(Side& side, const Operation& operation) {
  const Listing before = list(side.root(), kCrowd);
  if (!before) return answered(-1);
  std::set<std::string> there;
  while (const dirent* entry = ::readdir(before.get())) there.insert(entry->d_name);

  const Listing listing = list(side.root(), kCrowd);
  if (!listing) return answered(-1);
  Dice changes(operation.seed, 1), seeks(operation.seed, 2);
  std::set<std::string> touched;
  std::map<std::string, int> seen;
  int stirs = 0;
  for (std::uint64_t at = 0; const dirent* entry = ::readdir(listing.get()); ++at) {
    ++seen[entry->d_name];
    if (at % operation.length == 0 && stirs++ < kStirs) stir(side, changes, 2, touched);
    if (seeks.one_in(8)) ::seekdir(listing.get(), ::telldir(listing.get()));
  }
  while (stirs++ < kStirs) stir(side, changes, 2, touched);  // both sides end up the same
  for (const auto& [name, times] : seen) {
    if (times > 1 && !touched.contains(name)) return complain(fmt::format("{:?} was listed {} times", name, times));
    if (!there.contains(name) && !touched.contains(name))
      return complain(fmt::format("{:?} was listed and never there", name));
  }
  for (const std::string& name : there) {
    if (!seen.contains(name) && !touched.contains(name)) return complain(fmt::format("{:?} was missed", name));
  }
  return {};
}

constexpr OperationKind kKinds[] = {
    {"list", 20, fill_list, list_all,
     [](const Operation& operation) { return fmt::format("list {:?}", operation.path); }},
    {"stir", 6, fill_crowd, stir_crowd,
     [](const Operation& operation) { return fmt::format("change {} entries of {}", operation.length, kCrowd); }},
    {"list_changing", 2, fill_crowd, list_changing_crowd,
     [](const Operation& operation) {
       return fmt::format("list {} while it changes at every {}th entry", kCrowd, operation.length);
     }},
};

}  // namespace

std::span<const OperationKind> directory_operations() { return kKinds; }

}  // namespace dfs::model
