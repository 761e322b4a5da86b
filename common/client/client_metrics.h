// What the engine counts, for operators.
#pragma once

#include "common/base/metrics.h"

namespace dfs {

// References into the process's registry. Threads: any.
struct ClientMetrics {
  Gauge& buffered_bytes;
  Gauge& oldest_unsent_seconds;
  Counter& uploads;
  Counter& upload_bytes;
  Counter& upload_retries;
  Counter& upload_failures;
  Counter& commits;
  Counter& committed_files;
  Counter& cache_hits;
  Counter& cache_misses;
  Counter& fetched_bytes;
  Counter& read_ahead_bytes;
  Counter& failovers;
  Counter& hedges;
  Counter& lease_recalls;
  Counter& lease_waits;
  Gauge& log_bytes;
  Counter& log_syncs;
};

ClientMetrics& client_metrics();

}  // namespace dfs
