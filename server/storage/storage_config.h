// What a storage server may use and how it behaves.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/base/config_file.h"
#include "common/base/ids.h"
#include "common/base/result.h"

namespace dfs::storage {

struct StorageConfig {
  std::vector<std::filesystem::path> data_directories;   // required; one a disk
  // Directories that are empty are new disks, and stores that are missing do not
  // come back; else both are told as a problem and left out.
  bool replace_missing = false;
  std::string listen_address = "127.0.0.1:7400";
  std::string advertised_address;                        // empty: where it listens
  std::string meta_address = "127.0.0.1:7300";
  std::map<std::string, std::string> labels;             // zone, rack, host

  // Clients never fill it: repair needs room. 0: the smaller of 5 % of the
  // disk and 10 GiB, but at least 256 MiB.
  std::uint64_t reserved_bytes = 0;
  std::uint64_t segment_bytes = 1 * GiB;
  std::uint64_t open_segments_max = 256;                 // descriptors a disk
  std::uint64_t uploads_max = 1024;                      // unfinished ones a disk
  std::chrono::milliseconds upload_idle_max{600'000};
  // What a start after a crash has to read again, at most.
  std::uint64_t checkpoint_bytes = 512 * MiB;
  std::chrono::milliseconds checkpoint_interval{30'000};

  // Threads that may wait for a disk at once. fdatasync has its own.
  std::uint32_t disk_threads = 6;
  // Received and not yet written and forwarded; beyond it senders wait.
  std::uint64_t received_bytes_max = 64 * MiB;
  // Read and not yet sent: of all readers, and of one.
  std::uint64_t sending_bytes_max = 64 * MiB;
  std::uint64_t sending_stream_bytes_max = 8 * MiB;
  // Chunks of one stream that are not answered yet; one more is refused.
  std::uint32_t puts_per_stream_max = 4096;
  std::uint32_t questions_per_stream_max = 256;
  // A single write or cached read up to this is done at once by the thread
  // that received it: handing it over would cost more (30 us on two cores).
  std::uint32_t inline_bytes_max = 128 * KiB;
  // Clients on this machine that may open our files read larger ranges there.
  bool local_reads = true;

  // Bytes a second that repair may copy from other servers; 0: as fast as it goes.
  std::uint64_t repair_bytes_per_second = 64 * MiB;
  // Bytes a second that are read to find damage (a disk of 4 TB in a week); 0: none.
  std::uint64_t scrub_bytes_per_second = 8 * MiB;

  // A member that takes nothing for this long is given up for its chunks.
  std::chrono::milliseconds forward_timeout{8'000};
  std::chrono::milliseconds meta_timeout{5'000};
  std::chrono::milliseconds retry_pause_max{5'000};

  // Names the first thing wrong, in words an operator can act on.
  Result<void> validate() const;
};

// Settings of a [storage] table or the top of a file; what the command line
// said wins because it is applied afterwards.
Result<void> read_config(ConfigFile& file, StorageConfig& config);

// "zone=a" -> labels; `invalid` for anything else.
Result<void> add_label(std::string_view text, std::map<std::string, std::string>& labels);

}  // namespace dfs::storage
