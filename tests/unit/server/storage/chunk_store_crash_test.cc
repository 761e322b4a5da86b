// What the chunk store keeps when its process is killed, the power fails, the
// disk fails or its files are damaged.
#include <algorithm>
#include <set>

#include "server/storage/segment_format.h"
#include "tests/unit/server/storage/store_fixture.h"

namespace dfs::storage {
namespace {

TEST(ChunkStoreCrash, KeepsEverythingStoredWhenTheProcessIsKilled) {
  FakeMachine machine;
  ASSERT_TRUE(machine.start());
  std::vector<TestChunk> chunks;
  for (std::uint64_t serial = 1; serial <= 30; ++serial) {
    chunks.push_back(make_chunk(serial, 1000 + 9000 * static_cast<std::uint32_t>(serial % 10)));
    ASSERT_TRUE(put(*machine.store, chunks.back()));
    if (serial == 10 || serial == 20) {
      ASSERT_TRUE(machine.store->checkpoint());
    }
  }
  const TestChunk unfinished = make_chunk(100, 150'000);
  ASSERT_TRUE(machine.store->begin(unfinished.meta));
  ASSERT_TRUE(append(*machine.store, unfinished, 0, 131072));
  for (int round = 0; round < 3; ++round) {
    machine.kill();
    ASSERT_TRUE(machine.start());
    for (const TestChunk& chunk : chunks) EXPECT_EQ(look(*machine.store, chunk), "right");
    EXPECT_EQ(look(*machine.store, unfinished), "not_found");
    EXPECT_EQ(machine.store->have(unfinished.meta.chunk).value(), 0u);
    EXPECT_EQ(machine.store->space()->chunks, chunks.size());
    chunks.push_back(make_chunk(200 + round, 70'000));
    ASSERT_TRUE(put(*machine.store, chunks.back()));
  }
}

TEST(ChunkStoreCrash, ScansOnlyWhatCameAfterTheLastCheckpoint) {
  FakeMachine machine;
  machine.options.segment_bytes = 16 * MiB;
  ASSERT_TRUE(machine.start());
  for (std::uint64_t serial = 1; serial <= 200; ++serial)
    ASSERT_TRUE(put(*machine.store, make_chunk(serial, 4000)));
  ASSERT_TRUE(machine.store->checkpoint());
  ASSERT_TRUE(put(*machine.store, make_chunk(201, 4000)));
  machine.kill();
  const int before = machine.disk.count(FakeDisk::Operation::read);
  ASSERT_TRUE(machine.start());
  EXPECT_LT(machine.disk.count(FakeDisk::Operation::read) - before, 10);
  EXPECT_EQ(look(*machine.store, make_chunk(201, 4000)), "right");
  EXPECT_EQ(machine.store->space()->chunks, 201u);
}

TEST(ChunkStoreCrash, FindsAChunkThatWasFinishedAfterTheCheckpointPassedIt) {
  FakeMachine machine;
  machine.options.segment_bytes = 16 * MiB;
  ASSERT_TRUE(machine.start());
  const TestChunk slow = make_chunk(1, 100'000);
  const TestChunk quick = make_chunk(2, 100'000);
  ASSERT_TRUE(machine.store->begin(slow.meta));
  ASSERT_TRUE(put(*machine.store, quick));
  ASSERT_TRUE(machine.store->checkpoint());
  ASSERT_TRUE(append(*machine.store, slow, 0, 100'000));
  ASSERT_TRUE(machine.store->finish(slow.meta.chunk));
  machine.kill();
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(look(*machine.store, slow), "right");
  EXPECT_EQ(look(*machine.store, quick), "right");
  EXPECT_EQ(machine.store->space()->chunks, 2u);
}

TEST(ChunkStoreCrash, GivesBackTheSpaceOfWhatWasNeverFinished) {
  FakeMachine machine;
  machine.options.segment_bytes = 16 * MiB;
  ASSERT_TRUE(machine.start());
  const TestChunk unfinished = make_chunk(1, 1 << 20);
  ASSERT_TRUE(machine.store->begin(unfinished.meta));
  ASSERT_TRUE(append(*machine.store, unfinished, 0, 1 << 19));
  ASSERT_TRUE(put(*machine.store, make_chunk(2, 100'000)));
  const auto available = [&] { return machine.store->space()->available; };
  const std::uint64_t before = available();
  machine.kill();
  ASSERT_TRUE(machine.start());
  EXPECT_GE(available(), before + (1 << 19));
  EXPECT_EQ(look(*machine.store, make_chunk(2, 100'000)), "right");
}

TEST(ChunkStoreCrash, RebuildsTheIndexWhetherLostOrDamaged) {
  for (const bool damaged : {false, true}) {
    FakeMachine machine;
    ASSERT_TRUE(machine.start());
    for (std::uint64_t serial = 1; serial <= 60; ++serial)
      ASSERT_TRUE(put(*machine.store, make_chunk(serial, 20'000)));
    const ChunkId gone[] = {ChunkId(GroupId{3}, 30)};
    ASSERT_TRUE(machine.store->checkpoint());
    ASSERT_TRUE(machine.store->erase(gone));
    machine.stop();
    machine.index_broken = damaged;
    if (!damaged) machine.lose_index();
    ASSERT_TRUE(machine.start());
    for (std::uint64_t serial = 1; serial <= 60; ++serial)
      EXPECT_EQ(look(*machine.store, make_chunk(serial, 20'000)), serial == 30 ? "not_found" : "right");
    EXPECT_EQ(machine.store->space()->chunks, 59u);
  }
}

TEST(ChunkStoreCrash, RebuildsAnIndexThatBelongsToOtherSegments) {
  FakeMachine machine;
  FakeMachine other;
  for (FakeMachine* m : {&machine, &other}) {
    ASSERT_TRUE(m->start());
    ASSERT_TRUE(put(*m->store, make_chunk(m == &machine ? 1 : 2, 5000)));
    m->stop();
  }
  std::swap(machine.rows, other.rows);
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(look(*machine.store, make_chunk(1, 5000)), "right");
  EXPECT_EQ(look(*machine.store, make_chunk(2, 5000)), "not_found");
}

TEST(ChunkStoreCrash, RebuildsAnIndexThatKnowsOfMoreThanTheSegmentsHave) {
  FakeMachine machine;
  ASSERT_TRUE(machine.start());
  ASSERT_TRUE(put(*machine.store, make_chunk(1, 5000)));
  ASSERT_TRUE(put(*machine.store, make_chunk(2, 5000)));
  machine.stop();
  const std::uint64_t cut = kSegmentHeaderBytes + record_bytes(5000);
  ASSERT_TRUE((*machine.disk.open(machine.segment(1)))->truncate(cut));
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(look(*machine.store, make_chunk(1, 5000)), "right");
  EXPECT_EQ(look(*machine.store, make_chunk(2, 5000)), "not_found");
  EXPECT_EQ(machine.store->space()->chunks, 1u);
  ASSERT_TRUE(put(*machine.store, make_chunk(2, 5000)));
  EXPECT_EQ(look(*machine.store, make_chunk(2, 5000)), "right");
}

TEST(ChunkStoreCrash, TakesTheNewerOfTwoRecordsOfOneChunk) {
  // A deletion that power loss undid, after the chunk had been stored again.
  FakeMachine machine;
  ASSERT_TRUE(machine.start());
  const TestChunk chunk = make_chunk(1, 5000);
  ASSERT_TRUE(put(*machine.store, chunk));
  ASSERT_TRUE(put(*machine.store, make_chunk(2, 5000)));
  machine.stop();
  // The record as it was, put back where it lay.
  const auto path = machine.segment(1);
  std::vector<std::byte> old(8192);
  {
    const auto file = *machine.disk.open(path);
    ASSERT_TRUE(file->read(kSegmentHeaderBytes, old));
  }
  ASSERT_TRUE(machine.start());
  ASSERT_TRUE(machine.store->erase({&chunk.meta.chunk, 1}));
  ASSERT_TRUE(put(*machine.store, chunk));
  machine.stop();
  {
    const auto file = *machine.disk.open(path);
    const BufferView piece(old);
    ASSERT_TRUE(file->write(kSegmentHeaderBytes, {&piece, 1}));
    ASSERT_TRUE(file->sync());
  }
  machine.lose_index();
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(look(*machine.store, chunk), "right");
  EXPECT_EQ(machine.store->space()->chunks, 2u);
  const auto file = *machine.disk.open(path);
  RecordHeaderBytes bytes;
  ASSERT_TRUE(file->read(kSegmentHeaderBytes, bytes));
  EXPECT_FALSE(decode_record_header(bytes)) << "the older one is punched";
}

TEST(ChunkStoreCrash, FindsEveryFlippedByteAndNeverReturnsIt) {
  FakeMachine machine;
  ASSERT_TRUE(machine.start());
  const TestChunk chunk = make_chunk(1, 150'000);
  ASSERT_TRUE(put(*machine.store, chunk));
  ASSERT_TRUE(machine.store->checkpoint());
  const std::uint64_t data = kSegmentHeaderBytes + data_start(chunk.meta.length);
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t at = random() % chunk.meta.length;
    machine.disk.flip(machine.segment(1), data + at);
    EXPECT_EQ(look(*machine.store, chunk), "corrupt") << "found by the reader";
    const std::uint32_t offset = static_cast<std::uint32_t>(at / kBlockSize * kBlockSize + 1);
    const auto part = machine.store->get(chunk.meta.chunk, {offset, 100}, ReadFrom::disk);
    ASSERT_FALSE(part);
    EXPECT_EQ(part.error().code, Errc::corrupt) << "found by the store";
    machine.disk.flip(machine.segment(1), data + at);
  }
  EXPECT_EQ(machine.store->corrupt_reads(), 200u);
  for (std::uint64_t at = kSegmentHeaderBytes; at < kSegmentHeaderBytes + kRecordHeaderBytes + 24; ++at) {
    machine.disk.flip(machine.segment(1), at);
    EXPECT_EQ(look(*machine.store, chunk), "corrupt") << at;
    machine.disk.flip(machine.segment(1), at);
  }
  EXPECT_EQ(look(*machine.store, chunk), "right");
}

TEST(ChunkStoreCrash, ReplacesADamagedCopyByAGoodOne) {
  FakeMachine machine;
  machine.options.segment_bytes = 1 * MiB;
  ASSERT_TRUE(machine.start());
  const TestChunk chunk = make_chunk(1, 150'000);
  ASSERT_TRUE(put(*machine.store, chunk));
  machine.disk.flip(machine.segment(1), kSegmentHeaderBytes + 20);
  EXPECT_EQ(look(*machine.store, chunk), "corrupt");
  EXPECT_TRUE(put(*machine.store, chunk));
  EXPECT_EQ(look(*machine.store, chunk), "right");
  machine.disk.flip(machine.segment(1), kSegmentHeaderBytes + record_bytes(150'000) + 20);
  EXPECT_EQ(look(*machine.store, chunk), "corrupt");
  EXPECT_EQ(machine.store->begin(chunk.meta).value(), 0u) << "an upload replaces it too";
  EXPECT_EQ(machine.store->space()->chunks, 0u);
}

TEST(ChunkStoreCrash, GoesOnWithASegmentWhoseHeaderIsDamaged) {
  FakeMachine machine;
  ASSERT_TRUE(machine.start());
  ASSERT_TRUE(put(*machine.store, make_chunk(1, 5000)));
  machine.stop();
  machine.disk.flip(machine.segment(1), 20);
  machine.lose_index();
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(look(*machine.store, make_chunk(1, 5000)), "right");
}

TEST(ChunkStoreCrash, LosesOnlyTheChunksOfASegmentThatVanished) {
  FakeMachine machine;
  ASSERT_TRUE(machine.start());
  for (std::uint64_t serial = 1; serial <= 20; ++serial)
    ASSERT_TRUE(put(*machine.store, make_chunk(serial, 50'000)));
  machine.stop();
  ASSERT_TRUE(machine.disk.remove(machine.segment(1)));
  ASSERT_TRUE(machine.start());
  std::map<std::string, int> seen;
  for (std::uint64_t serial = 1; serial <= 20; ++serial)
    ++seen[look(*machine.store, make_chunk(serial, 50'000))];
  EXPECT_GT(seen["right"], 0);
  EXPECT_GT(seen["not_found"], 0);
  EXPECT_EQ(seen["right"] + seen["not_found"], 20);
  EXPECT_EQ(machine.store->space()->chunks, static_cast<std::uint64_t>(seen["right"]));
}

TEST(ChunkStoreCrash, WritesNothingDownOfAStartThatFailed) {
  FakeMachine machine;
  ASSERT_TRUE(machine.start());
  std::vector<TestChunk> chunks;
  std::vector<ChunkId> ids;
  for (std::uint64_t serial = 1; serial <= 12; ++serial) {
    chunks.push_back(make_chunk(serial, 60'000));
    ids.push_back(chunks.back().meta.chunk);
    ASSERT_TRUE(put(*machine.store, chunks.back()));
  }
  machine.kill();
  for (const int skip : {0, 4, 8, 12, 20}) {
    machine.disk.fail_next(FakeDisk::Operation::read, Errc::io, 1, skip);
    EXPECT_FALSE(machine.start());
    machine.disk.fail_next(FakeDisk::Operation::read, Errc::io, 0);
  }
  ASSERT_TRUE(machine.start());
  for (const TestChunk& chunk : chunks) EXPECT_EQ(look(*machine.store, chunk), "right");
  EXPECT_EQ(machine.store->space()->chunks, chunks.size());
  ASSERT_TRUE(machine.store->erase(ids));
  EXPECT_EQ(machine.store->space()->chunks, 0u);
}

TEST(ChunkStoreCrash, KeepsNothingOfAPutThatFailed) {
  FakeMachine machine;
  ASSERT_TRUE(machine.start());
  const TestChunk chunk = make_chunk(1, 50'000);
  machine.disk.cut_next_write(30'000, Errc::no_space);
  EXPECT_EQ(put(*machine.store, chunk).error().code, Errc::no_space);
  EXPECT_EQ(look(*machine.store, chunk), "not_found");
  machine.disk.cut_next_write(50'200, Errc::no_space);
  EXPECT_EQ(put(*machine.store, chunk).error().code, Errc::no_space);
  machine.kill();
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(look(*machine.store, chunk), "not_found");
  EXPECT_TRUE(put(*machine.store, chunk)) << "there is room again";
  EXPECT_EQ(look(*machine.store, chunk), "right");
}

TEST(ChunkStoreCrash, KeepsClientsOutOfTheReserve) {
  FakeMachine machine;
  machine.disk.set_capacity(4 * MiB);
  machine.options.reserved_bytes = 2 * MiB;
  ASSERT_TRUE(machine.start());
  std::uint64_t serial = 0;
  Result<void> stored;
  while (stored) stored = put(*machine.store, make_chunk(++serial, 60'000));
  EXPECT_EQ(stored.error().code, Errc::no_space);
  EXPECT_GT(serial, 30u);
  EXPECT_LT(serial, 36u);
  EXPECT_EQ(machine.store->begin(make_chunk(500, 1'000'000).meta).error().code, Errc::no_space);
  EXPECT_FALSE(machine.store->problem()) << "a full disk is no failing disk";
  EXPECT_EQ(look(*machine.store, make_chunk(1, 60'000)), "right");
  std::vector<ChunkId> ids;
  for (std::uint64_t s = 1; s < serial; ++s) ids.push_back(ChunkId(GroupId{3}, s));
  ASSERT_TRUE(machine.store->erase(ids));
  EXPECT_TRUE(put(*machine.store, make_chunk(1000, 60'000))) << "deleting makes room";
}

TEST(ChunkStoreCrash, StopsWritingToAFailingDiskAndGoesOnReading) {
  for (const auto operation : {FakeDisk::Operation::write, FakeDisk::Operation::sync}) {
    FakeMachine machine;
    ASSERT_TRUE(machine.start());
    const TestChunk chunk = make_chunk(1, 5000);
    ASSERT_TRUE(put(*machine.store, chunk));
    machine.disk.fail_next(operation, Errc::io);
    if (operation == FakeDisk::Operation::write) {
      EXPECT_EQ(put(*machine.store, make_chunk(2, 5000)).error().code, Errc::io);
    } else {
      EXPECT_EQ(machine.store->sync({&chunk.meta.chunk, 1}).error().code, Errc::io);
    }
    ASSERT_TRUE(machine.store->problem());
    EXPECT_EQ(put(*machine.store, make_chunk(3, 5000)).error().code, Errc::io);
    EXPECT_EQ(machine.store->sync({&chunk.meta.chunk, 1}).error().code, Errc::io);
    EXPECT_EQ(machine.store->space()->available, 0u);
    EXPECT_EQ(look(*machine.store, chunk), "right");
  }
}

TEST(ChunkStoreCrash, GoesOnAfterDescriptorsWereShort) {
  FakeMachine machine;
  ASSERT_TRUE(machine.start());
  machine.disk.fail_next(FakeDisk::Operation::create, Errc::overloaded, 2);
  EXPECT_EQ(put(*machine.store, make_chunk(1, 5000)).error().code, Errc::overloaded);
  machine.disk.fail_next(FakeDisk::Operation::sync_directory, Errc::overloaded);
  EXPECT_EQ(put(*machine.store, make_chunk(1, 5000)).error().code, Errc::overloaded);
  EXPECT_FALSE(machine.store->problem());
  ASSERT_TRUE(put(*machine.store, make_chunk(1, 5000)));
  EXPECT_EQ(look(*machine.store, make_chunk(1, 5000)), "right");
}

TEST(ChunkStoreCrash, GivesUpUploadsThatNobodyGoesOnWith) {
  FakeMachine machine;
  machine.options.uploads_max = 2;
  ASSERT_TRUE(machine.start());
  for (std::uint64_t serial = 1; serial <= 3; ++serial) {
    machine.clock.advance(std::chrono::seconds(1));
    ASSERT_TRUE(machine.store->begin(make_chunk(serial, 100'000).meta));
  }
  ASSERT_TRUE(machine.store->checkpoint());
  EXPECT_EQ(machine.store->space()->uploads, 2u);
  EXPECT_EQ(append(*machine.store, make_chunk(1, 100'000), 0, 65536).error().code, Errc::not_found);
  EXPECT_TRUE(append(*machine.store, make_chunk(3, 100'000), 0, 65536));
  machine.clock.advance(machine.options.upload_idle_max);
  ASSERT_TRUE(machine.store->checkpoint());
  EXPECT_EQ(machine.store->space()->uploads, 0u);
}

// --- power loss ---------------------------------------------------------------------------

// One life of a machine: random work, then the power fails. Keeps book of
// what must, may and must not be there.
class PowerLossRound {
 public:
  explicit PowerLossRound(std::uint32_t seed) : random_(seed) {
    machine_.options.segment_bytes = 128 * KiB;
    machine_.options.young_chunks_max = 8;
  }

  void run() {
    for (int life = 0; life < 3; ++life) {
      const auto started = machine_.start();
      ASSERT_TRUE(started) << started.error().to_string();
      check();
      const std::uint32_t steps = random_() % 25;
      for (std::uint32_t i = 0; i < steps; ++i) step();
      switch (random_() % 6) {
        case 0:
          machine_.stop();
          settle_all();
          ASSERT_TRUE(machine_.start());
          break;
        case 1:  // a start makes stable what it found, whoever wrote it
          machine_.kill();
          ASSERT_TRUE(machine_.start());
          settle_all();
          break;
        default:
          break;
      }
      machine_.lose_power(random_());
      if (random_() % 4 == 0) machine_.lose_index();
    }
    ASSERT_TRUE(machine_.start());
    check();
    ASSERT_TRUE(machine_.store->checkpoint());
    check();
  }

 private:
  enum class Fate { stored, synced, erasing };
  struct Known {
    TestChunk chunk;
    Fate fate;
  };

  void step() {
    ChunkStore& store = *machine_.store;
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2: {
        const TestChunk chunk = make_chunk(++serial_, 1 + random_() % 9000);
        ASSERT_TRUE(put(store, chunk));
        known_[serial_] = {chunk, Fate::stored};
        break;
      }
      case 3: {
        const TestChunk chunk = make_chunk(++serial_, 65537 + random_() % 30'000);
        ASSERT_TRUE(store.begin(chunk.meta));
        ASSERT_TRUE(append(store, chunk, 0, 65536));
        if (random_() % 3 == 0) break;  // never finished
        ASSERT_TRUE(append(store, chunk, 65536, chunk.meta.length - 65536));
        ASSERT_TRUE(store.finish(chunk.meta.chunk));
        known_[serial_] = {chunk, Fate::stored};
        break;
      }
      case 4:
      case 5: {
        std::vector<ChunkId> ids;
        for (auto& [serial, known] : known_) {
          if (known.fate == Fate::erasing || random_() % 2 == 0) continue;
          ids.push_back(known.chunk.meta.chunk);
          known.fate = Fate::synced;
        }
        ASSERT_TRUE(store.sync(ids));
        break;
      }
      case 6:
        ASSERT_TRUE(store.checkpoint());
        settle_all();
        break;
      default: {
        if (known_.empty()) break;
        auto& victim = std::next(known_.begin(), random_() % known_.size())->second;
        const auto erased = store.erase({&victim.chunk.meta.chunk, 1});
        ASSERT_TRUE(erased) << erased.error().to_string();
        known_.erase(victim.chunk.meta.chunk.serial());
        break;
      }
    }
  }
  void settle_all() {
    for (auto& [serial, known] : known_) known.fate = Fate::synced;
  }
  // Every chunk that was ever stored is right or not there; synced ones are
  // right; erased ones are gone.
  void check() {
    std::uint64_t present = 0;
    for (std::uint64_t serial = 1; serial <= serial_; ++serial) {
      const auto found = known_.find(serial);
      if (found == known_.end()) {
        EXPECT_FALSE(machine_.store->contains(ChunkId(GroupId{3}, serial)).value()) << serial;
        continue;
      }
      const std::string state = look(*machine_.store, found->second.chunk);
      if (found->second.fate == Fate::synced) {
        EXPECT_EQ(state, "right") << serial;
      } else {
        EXPECT_TRUE(state == "right" || state == "not_found") << serial << " is " << state;
      }
      if (state == "right") {
        ++present;
        found->second.fate = Fate::synced;  // a start makes stable what it found
      } else {
        EXPECT_FALSE(machine_.store->contains(found->second.chunk.meta.chunk).value());
        known_.erase(found);
      }
    }
    EXPECT_EQ(machine_.store->space()->chunks, present);
  }

  std::mt19937 random_;
  FakeMachine machine_;
  std::uint64_t serial_ = 0;
  std::map<std::uint64_t, Known> known_;
};

TEST(ChunkStorePowerLoss, LosesNothingSyncedAndReturnsNothingWrong) {
  for (std::uint32_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    PowerLossRound(seed).run();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace dfs::storage
