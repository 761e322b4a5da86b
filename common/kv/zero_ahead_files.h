// RocksDB's files, with its write-ahead log written ahead with zeros while it
// is synced often (common/base/zero_ahead.h). RocksDB takes the zeros behind
// its last record for the log's end; a log that is closed ends where it ends.
#pragma once

namespace rocksdb {
class Env;
}

namespace dfs {

// Lives as long as the process. Threads: any.
rocksdb::Env* zero_ahead_files();

}  // namespace dfs
