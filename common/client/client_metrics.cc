#include "common/client/client_metrics.h"

namespace dfs {

ClientMetrics& client_metrics() {
  static ClientMetrics instance{
      .buffered_bytes = metrics().gauge("dfs_client_buffered_bytes",
                                        "Memory that holds bytes the servers have not acknowledged."),
      .oldest_unsent_seconds = metrics().gauge("dfs_client_oldest_unsent_seconds",
                                               "Age of the oldest byte that is not acknowledged."),
      .uploads = metrics().counter("dfs_client_uploads_total", "Chunks uploaded."),
      .upload_bytes = metrics().counter("dfs_client_upload_bytes_total", "Bytes in uploaded chunks."),
      .upload_retries = metrics().counter("dfs_client_upload_retries_total",
                                          "Uploads that were tried again."),
      .upload_failures = metrics().counter("dfs_client_upload_failures_total",
                                           "Chunks given up; the program was or will be told."),
      .commits = metrics().counter("dfs_client_commits_total", "Commits sent."),
      .committed_files = metrics().counter("dfs_client_committed_files_total", "Files in commits."),
      .cache_hits = metrics().counter("dfs_client_cache_hits_total", "Blocks found in the cache."),
      .cache_misses = metrics().counter("dfs_client_cache_misses_total",
                                        "Runs of blocks fetched for a waiting reader."),
      .fetched_bytes = metrics().counter("dfs_client_fetched_bytes_total",
                                         "Bytes asked of storage servers."),
      .read_ahead_bytes = metrics().counter("dfs_client_read_ahead_bytes_total",
                                            "Bytes fetched ahead."),
      .failovers = metrics().counter("dfs_client_failovers_total",
                                     "Reads that went to another replica after a failure."),
      .hedges = metrics().counter("dfs_client_hedges_total",
                                  "Reads sent to a second replica because the first was slow."),
      .lease_recalls = metrics().counter("dfs_client_lease_recalls_total",
                                         "Leases that the metadata server asked for."),
      .lease_waits = metrics().counter("dfs_client_lease_waits_total",
                                       "Reads and writes that had to ask for a lease."),
      .log_bytes = metrics().gauge("dfs_client_journal_bytes",
                                   "Bytes in the journal on this machine's disk."),
      .log_syncs = metrics().counter("dfs_client_journal_syncs_total",
                                     "Times that it was made stable."),
  };
  return instance;
}

}  // namespace dfs
