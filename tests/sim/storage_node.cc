#include "tests/sim/storage_node.h"

#include <algorithm>
#include <utility>

#include "common/base/checksum.h"
#include "common/base/executor.h"
#include "common/base/guarded.h"
#include "server/storage/heartbeat.h"
#include "server/storage/repairer.h"
#include "server/storage/repeater.h"
#include "server/storage/scrubber.h"
#include "server/storage/service_context.h"

namespace dfs::sim {
namespace {

using namespace std::chrono_literals;
using namespace dfs::storage;

constexpr std::uint64_t kDiskBytes = 64 * MiB;
// Small, so that a run fills, seals and empties several.
constexpr std::uint64_t kSegmentBytes = 512 * KiB;
constexpr std::uint64_t kReservedBytes = 4 * MiB;
constexpr std::uint64_t kYoungBytesMax = 1 * MiB;
constexpr auto kCareInterval = 700ms;
constexpr auto kCheckpointInterval = 3s;
constexpr auto kRetryPauseMax = 1s;
// All that is there, in a round.
constexpr std::uint64_t kScrubBytesPerSecond = 64 * MiB;
constexpr std::size_t kQueueMax = 4'096;

ReadRange whole_blocks_of(const GetArgs& range, std::uint32_t length) {
  const std::uint32_t first = range.offset / kBlockSize * kBlockSize;
  const std::uint64_t end = block_count(std::uint64_t{range.offset} + range.length) * std::uint64_t{kBlockSize};
  return {first, static_cast<std::uint32_t>(std::min<std::uint64_t>(end, length)) - first};
}

}  // namespace

// One process, from its start to its death.
class StorageNode::Life {
 public:
  Life(const Surroundings& with, Wires::End end, const std::string& name, std::unique_ptr<StoreSet> stores)
      : with_(with),
        stores_(std::move(stores)),
        others_(with.wires, end, with.doors),
        meta_(with.wires, {.from = end, .meta = with.meta}, with.server),
        disk_threads_({.name = "disk", .threads = 2, .queue_max = kQueueMax}),
        heartbeat_(meta_, *stores_, facts(name), kRetryPauseMax,
                   {.groups = [this](const GroupTable& table) { learn(table); },
                    .sessions = [this](LiveSessionsPtr live) { sessions_.learn(std::move(live)); }}),
        scrubber_(*stores_, with.clock, kScrubBytesPerSecond, end),
        repairer_({.meta = meta_, .stores = *stores_, .servers = others_, .clock = with.clock,
                   .membership = [this] { return heartbeat_.membership(); },
                   .table = [this] { return table(); },
                   .damaged = [this] { return scrubber_.take_damaged(); }},
                  0) {
    threads_.push_back(std::make_unique<Repeater>("heartbeat", [this] { return heartbeat_.step(); }));
    if (with.fault != Fault::repairs_nothing)
      threads_.push_back(std::make_unique<Repeater>("repair", [this] { return repairer_.step(); }));
    threads_.push_back(std::make_unique<Repeater>("scrubber", [this] { return scrubber_.step(); }));
    threads_.push_back(std::make_unique<Repeater>("checkpoint", [this] { return care(); }));
  }
  ~Life() {
    threads_.clear();
    disk_threads_.stop();
    stores_.reset();  // what still waits for stable media is answered here
  }

  StoreSet& stores() { return *stores_; }

  void put(ArrivedChunk chunk, std::function<void(Result<PutOutcome>)> done);
  void get(const std::vector<GetArgs>& ranges, const std::function<void(ReadBytes)>& done);
  void sync(const std::vector<ChunkId>& chunks, const std::function<void(Result<void>)>& done);
  void stat(const std::vector<ChunkId>& chunks,
            const std::function<void(Result<std::vector<StoredChunk>>)>& done);

 private:
  class PutWork;

  static ServerFacts facts(const std::string& name) {
    return {.address = name + ":1", .local_socket = "", .machine = name, .labels = {{"host", name}}, .version = ""};
  }
  void learn(const GroupTable& table) {
    epochs_.learn(table);
    table_.with([&](auto& known) { known = std::make_shared<const GroupTable>(table); });
  }
  GroupTablePtr table() const {
    return table_.with([](const auto& known) { return known; });
  }
  std::chrono::milliseconds care() {
    for (const auto& store : stores_->stores()) {
      if (store->problem()) continue;
      store->start_writeback();
      if (!store->wants_checkpoint() && with_.clock.now() - last_checkpoint_ < kCheckpointInterval) continue;
      last_checkpoint_ = with_.clock.now();
      static_cast<void>(store->checkpoint());
    }
    return kCareInterval;
  }
  Result<std::vector<std::byte>> read(const GetArgs& range);

  const Surroundings with_;
  std::unique_ptr<StoreSet> stores_;
  FarStorage others_;
  FarMeta meta_;
  GroupEpochs epochs_;
  SessionFence sessions_;
  Guarded<GroupTablePtr> table_;
  SteadyTime last_checkpoint_{};  // of the thread that makes them
  Executor disk_threads_;
  Heartbeat heartbeat_;
  Scrubber scrubber_;
  Repairer repairer_;
  std::vector<std::unique_ptr<Repeater>> threads_;
};

// --- put -------------------------------------------------------------------------------

// As PutJob: stored here while it is passed on; when all have answered, so does this.
class StorageNode::Life::PutWork : public std::enable_shared_from_this<PutWork> {
 public:
  PutWork(Life& life, ArrivedChunk chunk, std::function<void(Result<PutOutcome>)> done)
      : life_(life), chunk_(std::move(chunk)), done_(std::move(done)), left_(1 + chunk_.args.forward.size()) {}

  void begin(ServerId self) {
    self_ = self;
    for (const ServerId member : chunk_.args.forward) pass_on(member);
    if (!life_.disk_threads_.submit([me = shared_from_this()] { me->store(); }))
      fail_all({Errc::overloaded, "too much waits for the disks"});
  }

 private:
  void pass_on(ServerId member) {
    PutArgs args = chunk_.args;
    args.forward.clear();
    args.session = {};
    args.pieces = {BufferView(*chunk_.bytes)};
    const auto client = life_.others_.client(member);
    client->put(std::move(args), [me = shared_from_this(), member](const Result<PutOutcome>& outcome) {
      me->answered(member, outcome);
    });
  }

  void store() {
    const Result<void> stored = store_it();
    if (!stored) return fail_all(stored.error());
    if (!chunk_.args.sync || life_.with_.fault == Fault::claims_sync) return kept({});
    life_.stores_->sync({&chunk_.args.chunk, 1},
                        [me = shared_from_this()](const Result<void>& synced) { me->kept(synced); });
  }

  // Whole, or in parts as an upload over several frames comes: the chunk's number says.
  Result<void> store_it() {
    const PutArgs& args = chunk_.args;
    const BufferView bytes = *chunk_.bytes;
    const ChunkMeta meta{.chunk = args.chunk,
                         .length = static_cast<std::uint32_t>(bytes.size()),
                         .inode = args.inode,
                         .file_offset = args.file_offset};
    ChunkStore* const store = TRY(life_.stores_->store_to_put(meta));
    if (args.chunk.serial() % 3 != 0) return store->put(meta, args.checksums, {&bytes, 1});
    TRY(store->begin(meta));
    for (std::uint32_t offset = 0; offset < meta.length; offset += kBlockSize) {
      const BufferView part = bytes.subspan(offset, std::min<std::size_t>(kBlockSize, meta.length - offset));
      TRY(store->append(meta.chunk, offset, {&args.checksums[offset / kBlockSize], 1}, {&part, 1}));
    }
    return store->finish(meta.chunk);
  }

  void kept(const Result<void>& result) {
    if (!result) return fail_all(result.error());
    {
      const std::lock_guard lock(mutex_);
      outcome_.stored_on.push_back(self_);
      if (chunk_.args.sync) outcome_.synced_on.push_back(self_);
    }
    one_less();
  }

  void answered(ServerId member, const Result<PutOutcome>& outcome) {
    {
      const std::lock_guard lock(mutex_);
      if (!outcome) outcome_.failed.emplace_back(member, outcome.error());
      else outcome_.stored_on.push_back(member);
      if (outcome && !outcome->synced_on.empty()) outcome_.synced_on.push_back(member);
    }
    one_less();
  }

  void one_less() {
    {
      const std::lock_guard lock(mutex_);
      if (--left_ > 0 || std::exchange(over_, true)) return;
    }
    done_(outcome_);
  }

  void fail_all(const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(over_, true)) return;
    }
    done_(fail(error));
  }

  Life& life_;
  const ArrivedChunk chunk_;
  const std::function<void(Result<PutOutcome>)> done_;
  ServerId self_;
  std::mutex mutex_;
  std::size_t left_;
  bool over_ = false;
  PutOutcome outcome_;
};

void StorageNode::Life::put(ArrivedChunk chunk, std::function<void(Result<PutOutcome>)> done) {
  const auto self = heartbeat_.membership();
  if (!self) return done(fail(Errc::unavailable, "the server is not registered yet"));
  if (const auto current = epochs_.check(chunk.args.chunk.group(), chunk.args.epoch); !current)
    return done(fail(current.error()));
  if (const auto allowed = sessions_.check(chunk.args.session); !allowed) return done(fail(allowed.error()));
  std::make_shared<PutWork>(*this, std::move(chunk), std::move(done))->begin(self->server);
}

// --- the other calls ---------------------------------------------------------------------

Result<std::vector<std::byte>> StorageNode::Life::read(const GetArgs& range) {
  ChunkStore* const store = TRY(stores_->store_of(range.chunk));
  if (store == nullptr) return fail(Errc::not_found, to_string(range.chunk) + " is not here");
  const ChunkMeta meta = TRY(store->stat(range.chunk));
  if (std::uint64_t{range.offset} + range.length > meta.length)
    return fail(Errc::invalid, "a range ends beyond its chunk");
  const ReadRange blocks = whole_blocks_of(range, meta.length);
  const ChunkBytes read = TRY(store->get(range.chunk, blocks, ReadFrom::disk));
  // Who reads compares; here that is in the same place.
  if (with_.fault != Fault::trusts_disk &&
      !checksums_hold(read.bytes, read.checksums.data(), read.checksums.size()))
    return fail(Errc::corrupt, to_string(range.chunk) + " is not what was written");
  const BufferView wanted = read.bytes.subspan(range.offset - blocks.offset, range.length);
  return std::vector<std::byte>(wanted.begin(), wanted.end());
}

void StorageNode::Life::get(const std::vector<GetArgs>& ranges, const std::function<void(ReadBytes)>& done) {
  const auto work = [this, ranges, done] {
    ReadBytes read;
    for (const GetArgs& range : ranges) {
      auto bytes = this->read(range);
      read.results.push_back(bytes ? Result<void>() : Result<void>(fail(bytes.error())));
      read.bytes.push_back(bytes ? *std::move(bytes) : std::vector<std::byte>());
    }
    done(std::move(read));
  };
  if (disk_threads_.submit(work)) return;
  done({std::vector<Result<void>>(ranges.size(), Result<void>(fail(Errc::overloaded))), {}});
}

void StorageNode::Life::sync(const std::vector<ChunkId>& chunks, const std::function<void(Result<void>)>& done) {
  std::vector<ChunkId> present;
  for (const ChunkId chunk : chunks) {
    const auto store = stores_->store_of(chunk);
    if (!store) return done(fail(store.error()));
    const auto here = *store == nullptr ? Result<bool>(false) : (*store)->contains(chunk);
    if (!here) return done(fail(here.error()));
    if (*here) present.push_back(chunk);
  }
  const bool all = present.size() == chunks.size();
  const auto answer = [all, done](const Result<void>& synced) {
    if (synced && !all) return done(fail(Errc::not_found, "a chunk is not here"));
    done(synced);
  };
  if (with_.fault == Fault::claims_sync) return answer({});
  stores_->sync(present, answer);
}

void StorageNode::Life::stat(const std::vector<ChunkId>& chunks,
                             const std::function<void(Result<std::vector<StoredChunk>>)>& done) {
  std::vector<StoredChunk> all;
  for (const ChunkId chunk : chunks) {
    StoredChunk& stored = all.emplace_back();
    stored.chunk = chunk;
    const auto store = stores_->store_of(chunk);
    if (!store) return done(fail(store.error()));
    if (*store == nullptr) continue;
    const auto meta = (*store)->stat(chunk);
    if (!meta) continue;
    stored = {chunk, true, meta->length, meta->inode, meta->file_offset};
  }
  done(std::move(all));
}

// --- the machine --------------------------------------------------------------------------

StorageNode::StorageNode(const Surroundings& with, std::string name)
    : with_(with), name_(std::move(name)), end_(with.wires.add(name_)), disk_(kDiskBytes) {
  with_.wires.die(end_);
  disk_.on_sync([this] {
    if (sync_ms_ == 0) return;
    std::unique_lock lock(slow_mutex_);
    slow_.wait_for(lock, std::chrono::milliseconds{sync_ms_}, [this] { return sync_ms_ == 0; });
  });
}

StorageNode::~StorageNode() {
  if (is_up()) die(Death::process, 0);
}

void StorageNode::start() {
  invariant(!is_up(), "a server that is up is not started");
  alive_ = std::make_shared<std::atomic<bool>>(true);
  const IndexOpener open_index = [this](const std::filesystem::path&,
                                        IndexStart start) -> Result<std::unique_ptr<KvStore>> {
    if (start == IndexStart::fresh) rows_ = std::make_unique<MemoryKvStore>();
    return std::make_unique<BorrowedKvStore>(*rows_, alive_);
  };
  ChunkStoreOptions options;
  options.segment_bytes = kSegmentBytes;
  options.reserved_bytes = kReservedBytes;
  options.young_bytes_max = kYoungBytesMax;
  auto stores = StoreSet::open(disk_, with_.clock,
                               {.directories = {"/" + name_}, .store = options, .lock = false}, open_index);
  if (!stores) {
    // Whoever looks after it tries again.
    *alive_ = false;
    return;
  }
  with_.wires.revive(end_);
  life_ = std::make_unique<Life>(with_, end_, name_, *std::move(stores));
}

void StorageNode::die(Death death, std::uint32_t seed) {
  with_.wires.die(end_);
  *alive_ = false;
  disk_.close_files();
  set_slow(0ms);
  life_.reset();
  if (death == Death::process) return;
  disk_.lose_power(seed);
  rows_->lose_power();
}

ServerId StorageNode::server() const { return life_ ? life_->stores().identity().server : ServerId{}; }

StoreSet* StorageNode::stores() const { return life_ ? &life_->stores() : nullptr; }

bool StorageNode::is_in_trouble() const { return life_ && !life_->stores().problems().empty(); }

void StorageNode::set_slow(std::chrono::milliseconds time) {
  sync_ms_ = time.count();
  const std::lock_guard lock(slow_mutex_);
  slow_.notify_all();
}

bool StorageNode::damage(ChunkId chunk, model::Dice& dice) {
  const auto store = life_->stores().store_of(chunk);
  if (!store || *store == nullptr) return false;
  const auto meta = (*store)->stat(chunk);
  if (!meta) return false;
  const auto place = (*store)->locate(chunk, {0, meta->length}, ReadFrom::disk);
  if (!place || !*place) return false;
  // A quarter of it falls on the record's header and table.
  const std::uint64_t before = kRecordHeaderBytes + sizeof(Checksum) * block_count(meta->length);
  const std::uint64_t record = (*place)->offset - data_start(meta->length);
  const std::uint64_t at =
      dice.one_in(4) ? record + dice.below(before) : (*place)->offset + dice.below(meta->length);
  disk_.flip((*place)->file, at);
  return true;
}

void StorageNode::put(ArrivedChunk chunk, std::function<void(Result<PutOutcome>)> done) {
  life_->put(std::move(chunk), std::move(done));
}
void StorageNode::get(std::vector<GetArgs> ranges, std::function<void(ReadBytes)> done) { life_->get(ranges, done); }
void StorageNode::sync(std::vector<ChunkId> chunks, std::function<void(Result<void>)> done) {
  life_->sync(chunks, done);
}
void StorageNode::stat(std::vector<ChunkId> chunks, std::function<void(Result<std::vector<StoredChunk>>)> done) {
  life_->stat(chunks, done);
}

}  // namespace dfs::sim
