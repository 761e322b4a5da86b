#include "server/storage/chunk_lists.h"

#include <algorithm>
#include <utility>

namespace dfs::storage {

Result<ListedChunks> list_chunks(const StoreSet& stores, const ListTask& task) {
  std::vector<ChunkId> chunks = TRY(stores.list(task.first, task.chunks_max));
  const ChunkId group_end = end_of_group(task.first.group());
  const bool is_all = chunks.size() < task.chunks_max || chunks.back() >= group_end;
  std::erase_if(chunks, [&](ChunkId chunk) { return chunk >= group_end; });

  ListedChunks listed;
  listed.first = task.first;
  listed.end = is_all ? group_end : following(chunks.back());
  listed.checksum = checksum_of_list(chunks);
  if (task.named) listed.chunks = std::move(chunks);
  return listed;
}

Result<std::vector<GroupId>> list_groups(const StoreSet& stores) {
  std::vector<GroupId> groups;
  ChunkId first;
  while (true) {
    const std::vector<ChunkId> next = TRY(stores.list(first, 1));
    if (next.empty()) return groups;
    groups.push_back(next.front().group());
    first = end_of_group(groups.back());
  }
}

}  // namespace dfs::storage
