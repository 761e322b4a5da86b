#include "server/storage/store_set.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "common/base/checksum.h"
#include "common/base/log.h"
#include "common/base/random.h"

namespace dfs::storage {
namespace {

constexpr std::size_t kIdentityBytes = 16;

bool disk_fails(const Error& error) {
  return error.code == Errc::io || error.code == Errc::read_only;
}

// All directories of a server say the same, but one that was added may say
// nothing, and one that a crash kept from learning of the registration less.
Result<StoreIdentity> common_identity(const std::vector<std::filesystem::path>& paths,
                                      const std::vector<std::optional<StoreIdentity>>& found) {
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
  std::vector<std::optional<StoreIdentity>> found;
  for (const auto& path : usable) {
    if (auto identity = set->take(path, options.lock); !identity) {
      TRY(set->leave_out(path, identity.error(), has_others));
    } else {
      paths.push_back(path);
      found.push_back(std::move(*identity));
    }
  }
  if (paths.empty()) return fail(Errc::io, "no data directory is usable");

  const StoreIdentity common = TRY(common_identity(paths, found));
  for (std::size_t i = 0; i < paths.size(); ++i) {
    StoreIdentity mine = common;
    mine.store = found[i] ? found[i]->store : random_hex(kIdentityBytes);
    if (!found[i] || *found[i] != mine) TRY(write_identity(disk, paths[i], mine));
    ChunkStoreOptions store = options.store;
    store.directory = paths[i];
    auto opened = TRY(ChunkStore::open(disk, clock, store, open_index));
    set->stores_.push_back(std::move(opened));
    set->directories_.with([&](auto& all) { all.push_back({paths[i], mine}); });
  }
  return set;
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
  log_error("storage", "{} is left out, its disk fails: {}", path.string(), why.to_string());
  left_out_.push_back(path.string() + ": " + why.to_string());
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
  ChunkStore* const known = TRY(store_of(meta.chunk));
  if (known != nullptr) return known;
  ChunkStore* best = nullptr;
  double best_score = 0;
  for (std::size_t i = 0; i < stores_.size(); ++i) {
    ChunkStore& store = *stores_[i];
    if (store.problem()) continue;
    const auto space = store.space();
    if (!space || space->available < record_bytes(meta.length)) continue;
    const double mine = score(meta.chunk, i, space->capacity);
    if (best != nullptr && mine <= best_score) continue;
    best = &store;
    best_score = mine;
  }
  if (best == nullptr) return fail(Errc::no_space, "every disk is full up to its reserve");
  return best;
}

Result<ChunkStore*> StoreSet::store_of(ChunkId chunk) {
  if (stores_.size() == 1) return stores_.front().get();
  std::optional<Error> trouble;
  for (const auto& store : stores_) {
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
    if (store->problem()) continue;  // what it holds is lost with it
    if (const auto erased = store->erase(chunks); !erased) trouble = erased.error();
  }
  if (trouble) return fail(*trouble);
  return {};
}

Result<std::vector<ChunkId>> StoreSet::list(ChunkId first, std::size_t chunks_max) const {
  std::vector<ChunkId> all;
  for (const auto& store : stores_) {
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
      problems.push_back(store->directory().string() + ": " + problem->to_string());
  }
  return problems;
}

}  // namespace dfs::storage
