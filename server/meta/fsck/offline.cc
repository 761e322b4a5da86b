#include "server/meta/fsck/offline.h"

#include <memory>
#include <system_error>

#include <fmt/format.h>

#include "common/kv/rocksdb_store.h"
#include "server/meta/data_directory.h"
#include "server/meta/fsck/store_mender.h"

namespace dfs::fsck {

Result<Summary> check_directory(const std::filesystem::path& directory, Mode mode,
                                const Clock& clock, Listener& listener) {
  const DataDirectory locked = TRY(DataDirectory::open_existing(directory));
  const std::unique_ptr<KvStore> store = TRY(open_rocksdb(locked.store(), {}));
  LocalMetaLog log(*store);
  std::unique_ptr<StoreMender> mender;
  if (mode == Mode::repair) mender = TRY(StoreMender::create(*store, log, clock));
  const Summary summary = TRY(check_in_rounds(*store, mender.get(), listener));
  if (summary.mended > 0) TRY(log.sync());
  return summary;
}

}  // namespace dfs::fsck
