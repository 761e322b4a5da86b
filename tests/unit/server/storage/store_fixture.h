// Stores over a FakeDisk or a real directory, and chunks to put into them.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/base/checksum.h"
#include "common/kv/memory_kv_store.h"
#include "common/kv/rocksdb_store.h"
#include "server/storage/chunk_store.h"
#include "server/storage/posix_disk.h"
#include "tests/support/borrowed_kv_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_disk.h"
#include "tests/support/temporary_directory.h"

namespace dfs::storage {

// A whole chunk in a test's hands.
struct TestChunk {
  ChunkMeta meta;
  std::vector<std::byte> bytes;
  std::vector<Checksum> sums;

  BufferView view() const { return bytes; }
};

inline std::vector<std::byte> random_bytes(std::size_t length, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(length);
  for (std::size_t i = 0; i < length; i += 8) {
    const std::uint64_t value = random();
    std::memcpy(bytes.data() + i, &value, std::min<std::size_t>(8, length - i));
  }
  return bytes;
}

inline TestChunk make_chunk(std::uint64_t serial, std::uint32_t length, std::uint64_t seed = 0) {
  TestChunk chunk{.meta = {.chunk = ChunkId(GroupId{3}, serial),
                           .length = length,
                           .inode = InodeId{serial + 100},
                           .file_offset = serial * 4096},
                  .bytes = random_bytes(length, seed == 0 ? serial : seed),
                  .sums = {}};
  chunk.sums = block_checksums(chunk.bytes);
  return chunk;
}

inline Result<void> put(ChunkStore& store, const TestChunk& chunk) {
  const BufferView piece = chunk.bytes;
  return store.put(chunk.meta, chunk.sums, {&piece, 1});
}

inline Result<std::uint32_t> append(ChunkStore& store, const TestChunk& chunk, std::uint32_t offset,
                                    std::uint32_t length) {
  const BufferView piece = chunk.view().subspan(offset, length);
  const auto sums = block_checksums(piece);
  return store.append(chunk.meta.chunk, offset, sums, {&piece, 1});
}

// The whole chunk as a reader gets it: "not_found", "corrupt", "wrong" or "right".
inline std::string look(ChunkStore& store, const TestChunk& chunk) {
  const auto read = store.get(chunk.meta.chunk, {0, chunk.meta.length}, ReadFrom::disk);
  if (!read) return std::string(name_of(read.error().code));
  const auto& sums = read->checksums;
  if (!checksums_hold(read->bytes, sums.data(), sums.size())) return "corrupt";
  return std::equal(read->bytes.begin(), read->bytes.end(), chunk.bytes.begin(), chunk.bytes.end())
             ? "right"
             : "wrong";
}

// A machine with one FakeDisk, whose storage process starts and dies.
class FakeMachine {
 public:
  FakeMachine() {
    options.directory = "/store";
    options.segment_bytes = 256 * KiB;
    options.reserved_bytes = 1;
  }
  ~FakeMachine() {
    if (store) kill();
  }

  Result<void> start() {
    alive_ = std::make_shared<std::atomic<bool>>(true);
    auto opened = ChunkStore::open(
        disk, clock, options,
        [this](const std::filesystem::path&, IndexStart start) -> Result<std::unique_ptr<KvStore>> {
          if (index_broken && start == IndexStart::keep) return fail(Errc::corrupt, "told to be");
          index_broken = false;
          if (start == IndexStart::fresh) rows = std::make_unique<MemoryKvStore>();
          return std::make_unique<BorrowedKvStore>(*rows, alive_);
        });
    if (!opened) return fail(opened.error());
    store = *std::move(opened);
    return {};
  }
  void stop() { store.reset(); }  // in order
  void kill() {
    *alive_ = false;
    disk.close_files();
    store.reset();
  }
  void lose_power(std::uint32_t seed) {
    kill();
    disk.lose_power(seed);
    rows->lose_power();
  }
  void lose_index() { rows = std::make_unique<MemoryKvStore>(); }
  std::filesystem::path segment(std::uint32_t number) const {
    return options.directory / "segments" / segment_file_name(number);
  }

  FakeClock clock;
  FakeDisk disk;
  ChunkStoreOptions options;
  std::unique_ptr<MemoryKvStore> rows = std::make_unique<MemoryKvStore>();
  std::unique_ptr<ChunkStore> store;
  bool index_broken = false;

 private:
  std::shared_ptr<std::atomic<bool>> alive_;
};

inline Result<std::unique_ptr<KvStore>> open_real_index(const std::filesystem::path& directory,
                                                        IndexStart start) {
  if (start == IndexStart::fresh) std::filesystem::remove_all(directory);
  return open_rocksdb(directory, {.block_cache_bytes = 8 << 20, .write_buffer_bytes = 4 << 20});
}

}  // namespace dfs::storage
