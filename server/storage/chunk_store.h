// The chunks kept in one directory.
//
// A chunk is written once and never changed. Every block of it carries a
// checksum: bytes that do not match it are never stored, and never returned
// as good.
//
// Threads:    any.
// Ownership:  one store per directory; StoreSet holds the lock.
// Durability: a chunk survives power loss once sync() has returned, not
//             before; until then it is there whole or not at all. It survives
//             the death of the process once put() or finish() has returned.
// Failing disk: after `io` or `read_only` from a write or sync the store
//             refuses every change with that error (problem() tells it);
//             reads go on.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/base/result.h"
#include "common/kv/kv_store.h"
#include "server/storage/chunk_index.h"
#include "server/storage/claims.h"
#include "server/storage/disk.h"
#include "server/storage/record_reader.h"
#include "server/storage/segment_set.h"
#include "server/storage/space_guard.h"
#include "server/storage/syncer.h"
#include "server/storage/uploads.h"

namespace dfs::storage {

struct ChunkStoreOptions {
  std::filesystem::path directory;
  std::uint64_t segment_bytes = 1 * GiB;
  std::size_t open_segments_max = 256;     // descriptors
  std::uint64_t reserved_bytes = 0;        // 0: default_reserve()
  std::size_t uploads_max = 1024;          // unfinished ones; the stalest gives way
  std::chrono::seconds upload_idle_max{600};
  std::size_t sync_queue_max = 16384;      // one more waiting sync() is `overloaded`
  // A checkpoint is due after this much: what a start has to read and verify.
  std::size_t young_chunks_max = 32768;
  std::uint64_t young_bytes_max = 512 * MiB;
  // A chunk up to this goes to the segments of small ones.
  std::uint32_t small_bytes_max = kBlockSize;
};

// Opens the rows of the index kept in a directory, or puts them aside and
// starts with none. After `corrupt` it is called again, for fresh ones.
enum class IndexStart { keep, fresh };
using IndexOpener = std::function<Result<std::unique_ptr<KvStore>>(
    const std::filesystem::path& directory, IndexStart start)>;

class ChunkStore {
 public:
  // Opens or creates the store, finishing or undoing whatever a crash
  // interrupted; a lost or damaged index is rebuilt. `disk` and `clock` must
  // outlive the store.
  static Result<std::unique_ptr<ChunkStore>> open(Disk& disk, const Clock& clock,
                                                  const ChunkStoreOptions& options,
                                                  const IndexOpener& open_index);
  // A last checkpoint, if open() succeeded.
  ~ChunkStore();

  // --- writing ------------------------------------------------------------------

  // Stores all of a chunk at once: one append. Storing the same bytes again
  // succeeds.
  //   corrupt   `data` does not match `checksums`
  //   exists    other bytes are already stored under this id
  //   no_space  the disk is full up to its reserve
  // On error nothing of the chunk is kept.
  // Copies that repair makes may use half of the reserve.
  enum class Writer { client, repair };
  Result<void> put(const ChunkMeta& meta, std::span<const Checksum> checksums,
                   std::span<const BufferView> data, Writer writer = Writer::client);

  // In parts: begin, append in order of offset, finish. begin() and append()
  // return how many bytes of the chunk, from its start, are here: the length
  // of the chunk if it is already stored. An upload that was interrupted goes
  // on from there, whoever began it. Parts start at block borders.
  // Errors: as put(); a part that leaves a gap is `bad_message`, a part of an
  // upload that is not (or no longer) known is `not_found`.
  Result<std::uint32_t> begin(const ChunkMeta& meta);
  Result<std::uint32_t> append(ChunkId chunk, std::uint32_t offset,
                               std::span<const Checksum> checksums,
                               std::span<const BufferView> data);
  // Makes the chunk, all of which has been appended, part of the store.
  Result<void> finish(ChunkId chunk);
  // How many bytes begin() would find; 0 if nothing is known of the chunk.
  Result<std::uint32_t> have(ChunkId chunk);

  // Forces chunks to stable media: `done` is called once, from the thread of
  // the store's disk or at once, and must be short. Whatever waits when the
  // disk becomes free is served by one fdatasync.
  //   not_found  a chunk is not here (the others were not looked at)
  void sync(std::span<const ChunkId> chunks, std::function<void(Result<void>)> done);
  // The same, waiting.
  Result<void> sync(std::span<const ChunkId> chunks);

  // Deletes; the space is back and the deletion stable when it returns.
  // Chunks that are not here are no error.
  Result<void> erase(std::span<const ChunkId> chunks);

  // --- reading ------------------------------------------------------------------

  // Whole blocks come with their stored checksums, unchecked: the reader
  // checks. Any other range has been checked.
  //   not_found  no such chunk
  //   corrupt    the bytes on disk are not those that were written; logged
  //              with their place, and counted
  //   again      ReadFrom::memory and not there
  Result<ChunkBytes> get(ChunkId chunk, const ReadRange& range, ReadFrom from);
  // Where the bytes of `range` are, for a reader on this machine; nothing if
  // the range is not whole blocks. They may be deleted at any time: the reader
  // compares the checksums. Errors as get().
  Result<std::optional<BlockPlace>> locate(ChunkId chunk, const ReadRange& range, ReadFrom from);
  // Begins reading the range in the background.
  void will_read(ChunkId chunk, const ReadRange& range);

  Result<bool> contains(ChunkId chunk) const;
  // What the record says of itself; `not_found`, `corrupt`.
  Result<ChunkMeta> stat(ChunkId chunk);
  // Chunks from `first` on, in order, at most `chunks_max`.
  Result<std::vector<ChunkIndex::Listed>> list(ChunkId first, std::size_t chunks_max) const;

  // --- care -----------------------------------------------------------------------

  // Brings everything stored so far to stable media and into the index on
  // disk; gives up stale uploads, seals and removes segments. Waits.
  Result<void> checkpoint();
  bool wants_checkpoint() const;
  // Begins writing what is new, so that syncs find little left to do; for
  // every some 100 ms, from a thread that may wait for the disk's queue.
  void start_writeback();

  struct Space {
    std::uint64_t capacity = 0;
    std::uint64_t available = 0;  // what clients may still fill
    std::uint64_t used = 0;       // by living records
    std::uint64_t chunks = 0;
    std::size_t segments = 0;
    std::size_t uploads = 0;
  };
  Result<Space> space() const;
  // Whether it takes changes.
  bool is_usable() const { return !failed_; }
  // Why the store refuses changes, if it does.
  std::optional<Error> problem() const;
  std::uint64_t corrupt_reads() const { return corrupt_reads_; }
  std::uint64_t syncs() const { return syncs_; }
  const std::filesystem::path& directory() const { return options_.directory; }

 private:
  ChunkStore(Disk& disk, const Clock& clock, const ChunkStoreOptions& options,
             std::unique_ptr<KvStore> rows);

  static Result<std::unique_ptr<ChunkStore>> open_with(Disk& disk, const Clock& clock,
                                                       const ChunkStoreOptions& options,
                                                       const IndexOpener& open_index,
                                                       IndexStart start);

  // What is known of a chunk that is to be stored.
  enum class Stored { no, same, other, damaged };
  Result<Stored> compare(const ChunkMeta& meta, std::span<const Checksum> checksums);
  Result<Stored> put_once(const ChunkMeta& meta, std::span<const Checksum> checksums,
                          std::span<const BufferView> data, Writer writer);
  Result<SegmentSet::Place> reserve(const ChunkMeta& meta, Writer writer);
  void keep(const ChunkMeta& meta, const SegmentSet::Place& place);
  void give_up(const SegmentSet::Place& place, std::uint64_t bytes);
  void give_up_locked(Upload& upload);
  Result<std::uint32_t> append_again(ChunkId chunk, std::uint32_t offset,
                                     std::span<const Checksum> checksums);

  Result<std::optional<IndexedChunk>> find(ChunkId chunk);
  template <typename T, typename Look>
  Result<T> look_into(ChunkId chunk, Look look);
  Result<std::vector<SyncPoint>> sync_points(std::span<const ChunkId> chunks);
  Error note_corrupt(ChunkId chunk, const ChunkPlace& place, Error error);

  Result<void> check_usable() const;
  // Passes the result on, remembering a failure of the disk.
  Result<void> watch(Result<void> result);
  Result<void> relieve();
  Result<void> checkpoint_locked();
  Result<void> settle_locked(const ChunkIndex::Young& young,
                             const std::vector<SegmentSet::OpenState>& states);
  Result<void> erase_locked(std::span<const ChunkId> chunks);
  Result<void> punch_records(std::vector<ChunkPlace> places);
  Result<void> remove_empty_segments_locked();
  Result<bool> is_really_empty(std::uint32_t segment);

  Disk& disk_;
  const ChunkStoreOptions options_;
  SegmentSet segments_;
  ChunkIndex index_;
  SpaceGuard space_;
  Claims claims_;
  Uploads uploads_;
  std::atomic<std::uint64_t> next_serial_{1};
  std::atomic<std::uint64_t> young_bytes_{0};
  std::atomic<std::uint64_t> corrupt_reads_{0};
  std::atomic<std::uint64_t> syncs_{0};
  std::atomic<bool> failed_{false};
  bool recovered_ = false;  // by open()
  Guarded<std::optional<Error>> problem_;
  std::mutex settle_mutex_;  // held by checkpoint and erase; before every other lock
  std::unique_ptr<Syncer> syncer_;  // last: its completions use the rest
};

}  // namespace dfs::storage
