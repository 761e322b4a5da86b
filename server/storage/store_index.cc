#include "server/storage/store_index.h"

#include <system_error>

#include "common/kv/rocksdb_store.h"

namespace dfs::storage {
namespace {

// Rows are 25 bytes: this much of them is enough for a few million chunks in
// use, and a server's memory stays small.
constexpr RocksDbConfig kConfig{.block_cache_bytes = 32 << 20, .write_buffer_bytes = 8 << 20};

Result<void> put_aside(const std::filesystem::path& directory) {
  std::error_code error;
  if (!std::filesystem::exists(directory, error)) return {};
  const std::filesystem::path aside = directory.string() + ".damaged";
  std::filesystem::remove_all(aside, error);
  if (!error) std::filesystem::rename(directory, aside, error);
  if (error) return fail_errno(error.value(), "put aside " + directory.string());
  return {};
}

}  // namespace

Result<std::unique_ptr<KvStore>> open_store_index(const std::filesystem::path& directory,
                                                  IndexStart start) {
  if (start == IndexStart::fresh) TRY(put_aside(directory));
  return open_rocksdb(directory, kConfig);
}

}  // namespace dfs::storage
