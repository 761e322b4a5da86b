// A storage server, as a client (or another storage server) sees it: a typed
// seam. GrpcStorageClient is the real one; tests use doubles.
//
// Calls do not block; each completes exactly once, with an error if the
// connection breaks, from a thread of the connection (so completions must be
// short and must not wait). Nothing is retried here: whoever calls knows
// where else to go.
//
// Threads: any. Ownership: buffers handed in must stay until completion.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/checksum.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/rpc/interrupt.h"
#include "common/rpc/types.h"

namespace dfs {

struct PutArgs {
  ChunkId chunk;
  Epoch epoch;                          // of the chunk's group
  std::vector<ServerId> forward;        // members that get it from the server called
  bool sync = false;                    // complete when on stable media
  std::string capability;
  InodeId inode;                        // what it belongs to, for salvage
  std::uint64_t file_offset = 0;
  WallNanos written = 0;                // when, of this mount's clock; grows from chunk to chunk
  bool scattered = false;               // several runs, with a map at the end (run_map.h)
  SessionId session;                    // whose it is; 0: nobody's
  // The whole chunk, as pieces to send one after another; all but the last
  // are multiples of kBlockSize long.
  std::vector<BufferView> pieces;
  std::vector<Checksum> checksums;      // one per block of the whole chunk
  bool resume = false;                  // ask first what is there (after a broken upload)
};
struct PutOutcome {
  std::vector<ServerId> stored_on;
  std::vector<ServerId> synced_on;
  std::vector<std::pair<ServerId, Error>> failed;  // forward targets that lack it
};

struct GetArgs {
  ChunkId chunk;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  std::byte* into = nullptr;            // `length` bytes
};

// A chunk as a server has it.
struct StoredChunk {
  ChunkId chunk;
  bool present = false;                 // a damaged one is not
  std::uint32_t length = 0;
  InodeId inode;                        // what it belonged to when it was written
  std::uint64_t file_offset = 0;
  WallNanos written = 0;
  bool scattered = false;
};

class StorageClient {
 public:
  virtual ~StorageClient() = default;

  //   session_lost  args.session has ended, as far as the server was told
  virtual void put(PutArgs args, std::function<void(Result<PutOutcome>)> done) = 0;

  // Fetches all ranges; checksums have been verified. One result per range:
  //   not_found  the server does not have the chunk
  //   corrupt    the bytes do not match their checksums
  virtual void get(std::vector<GetArgs> ranges,
                   std::function<void(std::vector<Result<void>>)> done) = 0;

  // `not_found` if a chunk is missing there.
  virtual void sync(std::vector<ChunkId> chunks, std::function<void(Result<void>)> done) = 0;

  // What the server has of these chunks, in their order. Their bytes are not looked at.
  virtual void stat(std::vector<ChunkId>,
                    std::function<void(Result<std::vector<StoredChunk>>)> done) {
    done(fail(Errc::unsupported, "this double has no stat"));
  }

  // Runs `start` (which makes calls here) and waits until `finished` is true
  // or the wait is interrupted. Meanwhile the caller may run the connection
  // itself, which spares the hand-over to another thread: a small read costs
  // half. `finished` becomes true by completions of this client; it is asked
  // from other threads too, so it reads an atomic and takes no lock that a
  // completion holds. After an interruption the calls go on: what they use
  // must stay until they complete. Not from a completion.
  virtual void attend(const std::function<void()>& start, const std::function<bool()>& finished,
                      Interrupt* interrupt) {
    start();
    while (!finished() && (interrupt == nullptr || !interrupt->interrupted()))
      std::this_thread::sleep_for(std::chrono::microseconds{100});
  }
};

// Finds the connection to a server; made on first use, re-made when broken.
class StoragePool {
 public:
  virtual ~StoragePool() = default;
  // Never null; an unknown or unreachable server's calls complete with
  // `unavailable`.
  virtual std::shared_ptr<StorageClient> client(ServerId server) = 0;
};

}  // namespace dfs
