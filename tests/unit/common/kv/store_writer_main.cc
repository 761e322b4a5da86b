// The process behind StoreWriter.
#include <unistd.h>

#include <cstdlib>

#include "common/kv/rocksdb_store.h"
#include "tests/unit/common/kv/store_writer.h"

namespace dfs {
namespace {

Result<void> write_all(KvStore& store, const StoreWriter::Orders& orders) {
  for (int i = 0; i < orders.writes; ++i) {
    if (i == orders.flushed && i > 0) TRY(store.flush());
    KvBatch batch;
    batch.put(StoreWriter::key(i), StoreWriter::value(i, orders.value_bytes));
    TRY(store.write(batch, i < orders.logged ? KvDurability::process : KvDurability::none));
    if (i < orders.synced) TRY(store.sync());
  }
  return {};
}

int run(char** arguments) {
  const StoreWriter::Orders orders{.directory = arguments[1],
                                   .writes = std::atoi(arguments[2]),
                                   .value_bytes = std::atoi(arguments[3]),
                                   .logged = std::atoi(arguments[4]),
                                   .synced = std::atoi(arguments[5]),
                                   .flushed = std::atoi(arguments[6])};
  // Memtables small enough to be flushed on the way, large enough for the
  // damage tests to have all of it in one log.
  const auto store = open_rocksdb(orders.directory, {.block_cache_bytes = 1 << 20, .write_buffer_bytes = 512 << 10});
  if (!store || !write_all(**store, orders)) return 1;
  if (::write(STDOUT_FILENO, "w", 1) != 1) return 1;
  while (true) ::pause();
}

}  // namespace
}  // namespace dfs

int main(int argc, char** argv) { return argc == 7 ? dfs::run(argv) : 2; }
