#include "server/storage/store_set.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "common/base/checksum.h"
#include "common/base/log.h"
#include "common/base/random.h"

namespace dfs::storage {
namespace {

constexpr std::size_t kIdentityBytes = 16;

bool disk_fails(const Error& error) {
  return error.code == Errc::io || error.code == Errc::read_only || error.code == Errc::corrupt;
}

using Found = std::vector<std::optional<StoreIdentity>>;

// Stores that one of the directories knows of and that none of them is.
std::vector<std::string> missing_stores(const Found& found) {
  std::set<std::string> missing;
  for (const auto& identity : found)
    if (identity) missing.insert(identity->stores.begin(), identity->stores.end());
  for (const auto& identity : found)
    if (identity) missing.erase(identity->store);
  return {missing.begin(), missing.end()};
}

// All directories of a server say the same, but one that was added may say
// nothing, and one that a crash kept from learning of the registration less.
Result<StoreIdentity> common_identity(const std::vector<std::filesystem::path>& paths,
                                      const Found& found) {
  StoreIdentity common;
  const std::filesystem::path* speaker = nullptr;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!found[i]) continue;
    if (speaker != nullptr && found[i]->identity != common.identity)
      return fail(Errc::wrong_cluster, fmt::format("{} and {} belong to different servers",
                                                   speaker->string(), paths[i].string()));
    const bool both = common.is_registered() && found[i]->is_registered();
    if (both && (common.cluster != found[i]->cluster || common.server != found[i]->server))
      return fail(Errc::wrong_cluster, fmt::format("{} and {} belong to different clusters",
                                                   speaker->string(), paths[i].string()));
    if (speaker == nullptr || found[i]->is_registered()) {
      common = *found[i];
      speaker = &paths[i];
    }
  }
  if (speaker == nullptr) common.identity = random_hex(kIdentityBytes);
  return common;
}

// Where a chunk falls among stores of different size: the same store every
// time, each as often as its size says (weighted rendezvous hashing).
double score(ChunkId chunk, std::size_t store, std::uint64_t weight) {
  const std::array<std::uint64_t, 2> key = {chunk.value(), store};
  const std::uint64_t hash = checksum_of(std::as_bytes(std::span(key)));
  const double uniform = (static_cast<double>(hash >> 11) + 0.5) / 9007199254740992.0;
  return -static_cast<double>(weight) / std::log(uniform);
}

}  // namespace

Result<std::unique_ptr<StoreSet>> StoreSet::open(Disk& disk, const Clock& clock,
                                                 const StoreSetOptions& options,
                                                 const IndexOpener& open_index) {
  if (options.directories.empty()) return fail(Errc::invalid, "no data directory was given");
  std::unique_ptr<StoreSet> set(new StoreSet(disk));
  const bool has_others = options.directories.size() > 1;
  std::vector<std::filesystem::path> usable;
  for (const auto& path : options.directories) {
    if (const auto checked = check_usable(disk, path); !checked) {
      TRY(set->leave_out(path, checked.error(), has_others));
    } else {
      usable.push_back(path);
    }
  }
  std::vector<std::filesystem::path> paths;
  Found found;
  for (const auto& path : usable) {
    if (auto identity = set->take(path, options.lock); !identity) {
      TRY(set->leave_out(path, identity.error(), has_others));
    } else {
      paths.push_back(path);
      found.push_back(std::move(*identity));
    }
  }
  if (!options.replace_missing) set->leave_out_empty(paths, found);
  if (paths.empty()) return fail(Errc::io, "no data directory is usable");

  StoreIdentity common = TRY(common_identity(paths, found));
  common.stores = set->missing_;
  std::vector<std::string> ids;
  for (const auto& identity : found)
    ids.push_back(identity ? identity->store : random_hex(kIdentityBytes));
  common.stores.insert(common.stores.end(), ids.begin(), ids.end());
  std::sort(common.stores.begin(), common.stores.end());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    StoreIdentity mine = common;
    mine.store = ids[i];
    if (auto opened = set->open_store(clock, options, open_index, paths[i], found[i], mine); !opened)
      TRY(set->leave_out(paths[i], opened.error(), has_others));
  }
  if (set->stores_.empty()) return fail(Errc::io, "no data directory is usable");
  return set;
}

// Of a disk that is not mounted only the empty place for it is there.
void StoreSet::leave_out_empty(std::vector<std::filesystem::path>& paths, Found& found) {
  missing_ = missing_stores(found);
  if (missing_.empty()) return;
  for (std::size_t i = paths.size(); i-- > 0;) {
    if (found[i]) continue;
    log_error("storage", "{} is left out: it is empty, and a store of this server is missing",
              paths[i].string());
    left_out_.push_back(
        fmt::format("{}: it is empty, and a store of this server is missing; mount the disk that "
                    "belongs there, or start once with --replace-missing if it is gone for good",
                    paths[i].string()));
    paths.erase(paths.begin() + static_cast<std::ptrdiff_t>(i));
    found.erase(found.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (!left_out_.empty()) return;
  left_out_.push_back(fmt::format("{} of its stores are missing: no data directory that was named "
                                  "has them; name them with --data, or start once with "
                                  "--replace-missing if they are gone for good",
                                  missing_.size()));
}

Result<void> StoreSet::open_store(const Clock& clock, const StoreSetOptions& options,
                                  const IndexOpener& open_index, const std::filesystem::path& path,
                                  const std::optional<StoreIdentity>& found,
                                  const StoreIdentity& mine) {
  if (!found || *found != mine) TRY(write_identity(disk_, path, mine));
  ChunkStoreOptions store = options.store;
  store.directory = path;
  auto opened = TRY(ChunkStore::open(disk_, clock, store, open_index));
  stores_.push_back(std::move(opened));
  directories_.with([&](auto& all) { all.push_back({path, mine}); });
  return {};
}

StoreSet::~StoreSet() = default;

Result<std::optional<StoreIdentity>> StoreSet::take(const std::filesystem::path& path, bool lock) {
  TRY(disk_.make_directory(path));
  if (lock) {
    auto held = TRY(DirectoryLock::acquire(path));
    locks_.push_back(std::move(held));
  }
  return read_identity(disk_, path);
}

Result<void> StoreSet::leave_out(const std::filesystem::path& path, const Error& why,
                                 bool has_others) {
  if (!disk_fails(why) || !has_others) return fail(why);
  log_error("storage", "{} is left out: {}", path.string(), why.to_string());
  left_out_.push_back(fmt::format("{} is left out: {}", path.string(), why.to_string()));
  return {};
}

StoreIdentity StoreSet::identity() const {
  return directories_.with([](const auto& all) { return all.front().identity; });
}

Result<void> StoreSet::join(const std::string& cluster, ServerId server) {
  return directories_.with([&](auto& all) -> Result<void> {
    for (Directory& directory : all) {
      StoreIdentity joined = directory.identity;
      if (joined.is_registered() && (joined.cluster != cluster || joined.server != server))
        return fail(Errc::wrong_cluster,
                    fmt::format("{} belongs to server {} of cluster {}, not to server {} of {}",
                                directory.path.string(), joined.server.value(), joined.cluster,
                                server.value(), cluster));
      joined.cluster = cluster;
      joined.server = server;
      if (joined == directory.identity) continue;
      TRY(write_identity(disk_, directory.path, joined));
      directory.identity = std::move(joined);
    }
    return {};
  });
}

Result<ChunkStore*> StoreSet::store_to_put(const ChunkMeta& meta) {
  if (stores_.size() == 1) return stores_.front().get();
  ChunkStore* const known = TRY(find(meta.chunk, Stores::usable));
  if (known != nullptr) return known;
  ChunkStore* best = nullptr;
  double best_score = 0;
  for (std::size_t i = 0; i < stores_.size(); ++i) {
    ChunkStore& store = *stores_[i];
    if (!store.is_usable()) continue;
    const auto space = store.space();
    if (!space || space->available < record_bytes(meta.length)) continue;
    const double mine = score(meta.chunk, i, space->capacity);
    if (best != nullptr && mine <= best_score) continue;
    best = &store;
    best_score = mine;
  }
  if (best == nullptr) return fail(Errc::no_space, "every disk that works is full up to its reserve");
  return best;
}

Result<ChunkStore*> StoreSet::store_of(ChunkId chunk) {
  if (stores_.size() == 1) return stores_.front().get();
  auto found = find(chunk, Stores::usable);
  if (found && *found != nullptr) return found;
  ChunkStore* const failed = TRY(find(chunk, Stores::failed));
  if (failed != nullptr) return failed;
  return found;
}

Result<ChunkStore*> StoreSet::usable_store_of(ChunkId chunk) {
  if (stores_.size() > 1) return find(chunk, Stores::usable);
  return stores_.front()->is_usable() ? stores_.front().get() : nullptr;
}

Result<ChunkStore*> StoreSet::find(ChunkId chunk, Stores among) {
  std::optional<Error> trouble;
  for (const auto& store : stores_) {
    if (store->is_usable() != (among == Stores::usable)) continue;
    const auto have = store->have(chunk);
    if (have && *have > 0) return store.get();
    if (!have) trouble = have.error();
  }
  if (trouble) return fail(*trouble);
  return nullptr;
}

void StoreSet::sync(std::span<const ChunkId> chunks, std::function<void(Result<void>)> done) {
  if (stores_.size() == 1) return stores_.front()->sync(chunks, std::move(done));

  std::map<ChunkStore*, std::vector<ChunkId>> parts;
  for (const ChunkId chunk : chunks) {
    const auto store = store_of(chunk);
    if (!store) return done(fail(store.error()));
    if (*store == nullptr) return done(fail(Errc::not_found, to_string(chunk) + " is not here"));
    parts[*store].push_back(chunk);
  }
  struct Join {
    std::atomic<std::size_t> left;
    Guarded<std::optional<Error>> error;
    std::function<void(Result<void>)> done;
  };
  const auto join = std::make_shared<Join>();
  join->left = parts.size() + 1;
  join->done = std::move(done);
  const auto arrive = [join](const Result<void>& part) {
    if (!part) join->error.with([&](auto& error) { error = part.error(); });
    if (--join->left > 0) return;
    const auto error = join->error.with([](const auto& first) { return first; });
    join->done(error ? Result<void>(fail(*error)) : Result<void>());
  };
  for (const auto& [store, part] : parts) store->sync(part, arrive);
  arrive({});
}

Result<void> StoreSet::erase(std::span<const ChunkId> chunks) {
  std::optional<Error> trouble;
  for (const auto& store : stores_) {
    if (!store->is_usable()) continue;  // what it holds is lost with it
    if (const auto erased = store->erase(chunks); !erased) trouble = erased.error();
  }
  if (trouble) return fail(*trouble);
  return {};
}

Result<std::vector<ChunkId>> StoreSet::list(ChunkId first, std::size_t chunks_max) const {
  std::vector<ChunkId> all;
  for (const auto& store : stores_) {
    if (!store->is_usable()) continue;
    const auto part = TRY(store->list(first, chunks_max));
    for (const auto& listed : part) all.push_back(listed.chunk);
  }
  if (stores_.size() > 1) {
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
  }
  if (all.size() > chunks_max) all.resize(chunks_max);
  return all;
}

ChunkStore::Space StoreSet::space() const {
  ChunkStore::Space sum;
  for (const auto& store : stores_) {
    if (!store->is_usable()) continue;
    const auto space = store->space();
    if (!space) continue;  // a failing disk has none
    sum.capacity += space->capacity;
    sum.available += space->available;
    sum.used += space->used;
    sum.chunks += space->chunks;
    sum.segments += space->segments;
    sum.uploads += space->uploads;
  }
  return sum;
}

std::vector<std::string> StoreSet::problems() const {
  std::vector<std::string> problems = left_out_;
  for (const auto& store : stores_) {
    if (const auto problem = store->problem())
      problems.push_back(fmt::format("the disk of {} has failed: {}", store->directory().string(),
                                     problem->to_string()));
  }
  return problems;
}

}  // namespace dfs::storage
