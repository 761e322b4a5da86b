#include "server/storage/store_identity.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <sstream>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dfs::storage {
namespace {

constexpr std::size_t kFileBytesMax = 16'384;
constexpr std::string_view kFormat = "1";
constexpr std::string_view kFile = "identity";
constexpr std::string_view kNewFile = "identity.new";
// What may be in a directory before it has an identity: the lock file and the
// identity that is being written, and the file system's own.
constexpr std::array<std::string_view, 3> kMayComeFirst = {"LOCK", kNewFile, "lost+found"};

using Facts = std::map<std::string, std::string, std::less<>>;

std::optional<Facts> parse_lines(std::string_view text) {
  Facts facts;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;  // the last line is not whole
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const std::size_t equals = line.find(" = ");
    if (equals == std::string_view::npos) return std::nullopt;
    facts.emplace(line.substr(0, equals), line.substr(equals + 3));
  }
  return facts;
}

std::optional<StoreIdentity> identity_from(const Facts& facts) {
  for (const char* key : {"identity", "store", "cluster", "server"}) {
    if (!facts.contains(key)) return std::nullopt;
  }
  const std::string& server = facts.at("server");
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(server.data(), server.data() + server.size(), number);
  if (error != std::errc{} || end != server.data() + server.size()) return std::nullopt;
  StoreIdentity identity{.identity = facts.at("identity"),
                         .store = facts.at("store"),
                         .cluster = facts.at("cluster"),
                         .server = ServerId{number}};
  if (const auto stores = facts.find("stores"); stores != facts.end()) {
    std::istringstream words(stores->second);
    for (std::string word; words >> word;) identity.stores.push_back(word);
  }
  if (identity.identity.empty() || identity.store.empty()) return std::nullopt;
  if (identity.is_registered() == identity.cluster.empty()) return std::nullopt;
  return identity;
}

}  // namespace

Result<void> check_usable(Disk& disk, const std::filesystem::path& directory) {
  const auto names = disk.list(directory);
  if (!names && names.error().code == Errc::not_found) return {};
  if (!names) return fail(names.error());
  if (std::ranges::find(*names, kFile) != names->end()) {
    const auto identity = read_identity(disk, directory);
    if (!identity) return fail(identity.error());
    return {};
  }
  const bool is_unused = std::ranges::all_of(*names, [](const std::string& name) {
    return std::ranges::find(kMayComeFirst, name) != kMayComeFirst.end();
  });
  if (!is_unused)
    return fail(Errc::invalid,
                fmt::format("{} holds other files and is not the data directory of a storage "
                            "server; give an empty or a new one",
                            directory.string()));
  return {};
}

Result<std::optional<StoreIdentity>> read_identity(Disk& disk,
                                                   const std::filesystem::path& directory) {
  const auto path = directory / kFile;
  const auto file = disk.open(path);
  if (!file && file.error().code == Errc::not_found) return std::nullopt;
  if (!file) return fail(file.error());
  std::vector<std::byte> bytes(kFileBytesMax);
  const std::size_t got = TRY((*file)->read(0, bytes));
  bytes.resize(got);
  const auto facts = parse_lines(as_text(bytes));
  if (facts && facts->contains("format") && facts->at("format") != kFormat)
    return fail(Errc::unsupported, fmt::format("{} has format {}; this version knows format {}",
                                               path.string(), facts->at("format"), kFormat));
  auto identity = facts ? identity_from(*facts) : std::nullopt;
  if (!identity || !facts->contains("format"))
    return fail(Errc::corrupt, path.string() + " is damaged: it does not say whose directory this is");
  return identity;
}

Result<void> write_identity(Disk& disk, const std::filesystem::path& directory,
                            const StoreIdentity& identity) {
  const std::string text =
      fmt::format("format = {}\nidentity = {}\nstore = {}\ncluster = {}\nserver = {}\nstores = {}\n",
                  kFormat, identity.identity, identity.store, identity.cluster,
                  identity.server.value(), fmt::join(identity.stores, " "));
  const auto temporary = directory / kNewFile;
  if (const auto removed = disk.remove(temporary);
      !removed && removed.error().code != Errc::not_found)
    return removed;
  const auto file = TRY(disk.create(temporary));
  const BufferView piece = as_bytes(text);
  TRY(file->write(0, {&piece, 1}));
  TRY(file->sync());
  TRY(disk.rename(temporary, directory / kFile));
  return disk.sync_directory(directory);
}

}  // namespace dfs::storage
