// What a storage server counts; names and meaning are in storage_metrics.cc.
// Threads: any.
#pragma once

#include "common/base/metrics.h"

namespace dfs::storage {

struct StorageMetrics {
  StorageMetrics();  // in the process's registry

  Counter& puts;
  Counter& put_failures;
  Counter& put_bytes;
  Counter& get_ranges;
  Counter& get_failures;
  Counter& get_bytes;
  Counter& get_local_bytes;
  Counter& forward_failures;
  Histogram& sync_seconds;
  Gauge& corrupt_reads;
  Gauge& capacity_bytes;
  Gauge& available_bytes;
  Gauge& used_bytes;
  Gauge& chunks;
  Gauge& uploads;
  Gauge& disk_queue;
  Gauge& received_bytes;
  Gauge& sending_bytes;
};

}  // namespace dfs::storage
