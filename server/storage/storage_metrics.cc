#include "server/storage/storage_metrics.h"

namespace dfs::storage {

StorageMetrics::StorageMetrics()
    : puts(metrics().counter("dfs_storage_puts_total", "Chunks stored for a sender.")),
      put_failures(metrics().counter("dfs_storage_put_failures_total", "Chunks refused or failed.")),
      put_bytes(metrics().counter("dfs_storage_put_bytes_total", "Chunk bytes received.")),
      get_ranges(metrics().counter("dfs_storage_get_ranges_total", "Ranges asked for.")),
      get_failures(metrics().counter("dfs_storage_get_failures_total", "Ranges that failed.")),
      get_bytes(metrics().counter("dfs_storage_get_bytes_total", "Chunk bytes sent.")),
      get_local_bytes(metrics().counter("dfs_storage_get_local_bytes_total",
                                        "Chunk bytes that readers on this machine were shown in our files.")),
      forward_failures(metrics().counter("dfs_storage_forward_failures_total",
                                         "Chunks that a forward target did not take.")),
      sync_seconds(metrics().histogram("dfs_storage_sync_seconds",
                                       "From a sync request to stable media.",
                                       {0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1, 5})),
      corrupt_reads(metrics().gauge("dfs_storage_corrupt_reads",
                                    "Reads that found bytes which do not match their checksums.")),
      capacity_bytes(metrics().gauge("dfs_storage_capacity_bytes", "Size of the disks.")),
      available_bytes(metrics().gauge("dfs_storage_available_bytes",
                                      "What clients may still fill.")),
      used_bytes(metrics().gauge("dfs_storage_used_bytes", "Taken by living chunks.")),
      chunks(metrics().gauge("dfs_storage_chunks", "Living chunks.")),
      uploads(metrics().gauge("dfs_storage_uploads", "Unfinished uploads.")),
      disk_queue(metrics().gauge("dfs_storage_disk_queue", "Tasks that wait for a disk thread.")),
      received_bytes(metrics().gauge("dfs_storage_received_bytes",
                                     "Received and not yet written and forwarded.")),
      sending_bytes(metrics().gauge("dfs_storage_sending_bytes", "Read and not yet sent.")) {}

}  // namespace dfs::storage
