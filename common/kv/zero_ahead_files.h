// RocksDB's files, with its write-ahead log written ahead with zeros while it
// is synced often (common/base/zero_ahead.h). RocksDB takes the zeros behind
// its last record for the log's end; a log that is closed ends where it ends.
//
// A file that cannot be opened because descriptors are short is reported as
// worth a repeat: RocksDB then refuses writes until it has succeeded, and not
// until the next start.
#pragma once

namespace rocksdb {
class Env;
class Status;
}

namespace dfs {

// Lives as long as the process. Threads: any.
rocksdb::Env* zero_ahead_files();

// Whether this is the error of a file that was not opened for that reason.
bool is_out_of_descriptors(const rocksdb::Status& status);

}  // namespace dfs
