#include "server/meta/salvage/salvage.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "common/kv/rocksdb_store.h"
#include "server/meta/core/cluster_format.h"
#include "server/meta/data_directory.h"
#include "server/meta/meta_config.h"
#include "server/meta/store/tables.h"

namespace dfs {
namespace {

// While it is sorted: 's' inode, chunk, whether it has no time -> its row of an
// inventory; 'h' chunk, server. No table begins with these letters.
constexpr char kSorted = 's';
constexpr char kHolders = 'h';
constexpr std::size_t kBatchBytes = 4 << 20;

constexpr std::uint64_t kFileBytesMax = INT64_MAX;
constexpr WallNanos kSecond = 1'000'000'000;
constexpr std::uint64_t kFirstCookie = 1;
// Ids of a group that were given out, and whose chunks never arrived: far fewer.
constexpr std::uint64_t kSerialsUnseen = 1 << 28;
constexpr std::uint32_t kLostMode = 0700;
constexpr const char* kLostAndFound = "lost+found";

std::string sorted_key(const InventoryRow& row) {
  std::string key(1, kSorted);
  keys::append(key, row.inode);
  keys::append(key, row.chunk);
  key.push_back(row.written == 0 ? '1' : '0');
  return key;
}
std::string holder_key(ChunkId chunk, ServerId server) {
  std::string key(1, kHolders);
  keys::append(key, chunk);
  keys::append(key, server);
  return key;
}

// The number of runs is bounded by the format, their ends are not.
bool fits(const InventoryRow& row) {
  if (row.kind == InventoryRow::Kind::one_run) return row.file_offset <= kFileBytesMax - row.length;
  std::uint64_t bytes = 0;
  for (const FileRun& run : row.runs) {
    const bool is_in_file =
        run.file_offset == kNowhere || run.file_offset <= kFileBytesMax - run.length;
    if (run.length == 0 || !is_in_file) return false;
    bytes += run.length;
  }
  return bytes <= row.length;
}

LaidChunk laid(const InventoryRow& row) {
  if (row.kind == InventoryRow::Kind::runs) return {row.chunk, row.written, row.runs};
  return {row.chunk, row.written, {{row.file_offset, row.length}}};
}

}  // namespace

template <typename Table>
void Salvage::put(typename Table::View key, const typename Table::Record& record) {
  raw_key<Table>(raw_, key);
  encode(record, value_);
  batch_.put(raw_, value_);
}

Result<void> Salvage::write(Flush when) {
  if (when == Flush::if_full && batch_.byte_size() < kBatchBytes) return {};
  TRY(store_.write(batch_, KvDurability::none));
  batch_.clear();
  return {};
}

// --- what servers have -------------------------------------------------------------------

Result<void> Salvage::add(RowFileReader& file, const std::string& name) {
  const InventoryHead head = TRY(read_inventory_head(file, name));
  if (cluster_.empty()) cluster_ = head.cluster;
  if (head.cluster != cluster_)
    return fail(Errc::wrong_cluster, fmt::format("{} is of cluster {}, those before it are of {}",
                                                 name, head.cluster, cluster_));
  if (!servers_.emplace(head.server, head.identity).second)
    return fail(Errc::exists, fmt::format("{} is of storage server {}, whose inventory has been "
                                          "given already",
                                          name, head.server.value()));
  std::string_view key;
  std::string_view value;
  InventoryRow row;
  while (true) {
    const bool more = TRY(file.next(key, value));
    if (!more) break;
    if (!decode(key, value, row))
      return fail(Errc::corrupt, fmt::format("{} holds a row that describes no chunk", name));
    batch_.put(holder_key(row.chunk, head.server), "");
    const bool is_placed = row.kind != InventoryRow::Kind::unknown && row.inode > kRootInode && fits(row);
    if (is_placed)
      batch_.put(sorted_key(row), std::string(key).append(value));
    else
      ++summary_.unplaced;
    TRY(write(Flush::if_full));
  }
  return write(Flush::all);
}

Result<void> Salvage::look_at_groups() {
  const auto cursor = store_.sweep();
  const std::string_view prefix(&kHolders, 1);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    MissingKey holder;  // has the same two parts, the other way round
    const std::string_view raw = cursor->key().substr(1);
    if (raw.size() != 12) return fail(Errc::corrupt, "a row that was written a moment ago");
    holder.chunk = ChunkId{load_be64(raw.data())};
    holder.server = ServerId{load_be32(raw.data() + 8)};
    GroupFacts& facts = groups_[holder.chunk.group()];
    ++facts.chunks[holder.server];
    facts.last_serial = std::max(facts.last_serial, holder.chunk.serial());
  }
  return cursor->status();
}

// Who has far fewer of a group's chunks than others was a member once, or has
// just become one; what it alone has is found when lists are compared.
std::vector<ServerId> Salvage::members_of(const GroupFacts& facts) const {
  std::uint64_t most = 0;
  for (const auto& [server, count] : facts.chunks) most = std::max(most, count);
  std::vector<std::pair<std::uint64_t, ServerId>> order;
  for (const auto& [server, count] : facts.chunks)
    if (2 * count >= most) order.emplace_back(most - count, server);
  std::sort(order.begin(), order.end());
  if (order.size() > kReplicasMax) order.resize(kReplicasMax);
  std::vector<ServerId> members;
  for (const auto& [lacks, server] : order) members.push_back(server);
  return members;
}

std::uint32_t Salvage::usual_replicas() const {
  std::map<std::uint32_t, std::uint64_t> groups;
  for (const auto& [id, facts] : groups_)
    ++groups[static_cast<std::uint32_t>(members_of(facts).size())];
  std::uint32_t usual = 1;
  std::uint64_t most = 0;
  for (const auto& [replicas, count] : groups)
    if (count >= most) {
      most = count;
      usual = replicas;
    }
  return usual;
}

// --- the tables ----------------------------------------------------------------------------

Result<SalvageSummary> Salvage::finish(const SalvageOptions& options) {
  if (servers_.empty()) return fail(Errc::invalid, "no inventory was given");
  summary_.cluster = cluster_;
  summary_.servers = servers_.size();
  TRY(look_at_groups());
  summary_.groups = groups_.size();
  replicas_ = options.replicas.value_or(usual_replicas());
  options_ = options;
  TRY(make_files());
  make_directories();
  make_servers();
  make_groups();
  make_cluster();
  batch_.erase_range(std::string(1, kSorted), std::string(1, kSorted + 1));
  batch_.erase_range(std::string(1, kHolders), std::string(1, kHolders + 1));
  TRY(write(Flush::all));
  TRY(store_.flush());
  return summary_;
}

Result<void> Salvage::make_files() {
  next_cookie_ = kFirstCookie;
  const auto cursor = store_.sweep();
  const std::string_view prefix(&kSorted, 1);
  // Of the directory itself: behind all inodes there are, so that each file
  // keeps its number.
  cursor->seek_for_previous(std::string(1, kSorted + 1));
  if (cursor->valid() && cursor->key().starts_with(prefix))
    last_inode_ = load_be64(cursor->key().data() + 1);
  lost_and_found_ = InodeId{last_inode_ + 1};

  InodeId inode;
  std::vector<LaidChunk> chunks;
  InventoryRow row;
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    const std::string_view value = cursor->value();
    if (value.size() < 8 || !decode(value.substr(0, 8), value.substr(8), row))
      return fail(Errc::corrupt, "a row that was written a moment ago");
    if (row.inode != inode) {
      if (!chunks.empty()) TRY(make_file(inode, std::move(chunks)));
      chunks.clear();
      inode = row.inode;
    }
    // Twice: copies of one chunk, one of which says no time.
    if (chunks.empty() || chunks.back().chunk != row.chunk) chunks.push_back(laid(row));
  }
  TRY(cursor->status());
  if (!chunks.empty()) TRY(make_file(inode, std::move(chunks)));
  return {};
}

Result<void> Salvage::make_file(InodeId inode, std::vector<LaidChunk> chunks) {
  sort_by_time(chunks);
  FileLayout layout;
  for (const LaidChunk& chunk : chunks) layout.lay(chunk);

  InodeRecord file = new_inode(FileType::regular, 0600, lost_and_found_);
  file.size = layout.size();
  file.replicas = replicas_;
  file.chunk_size = options_.chunk_size;
  if (chunks.back().written != 0) file.mtime = file.ctime = chunks.back().written;
  std::map<ChunkId, ChunkRecord> used;
  for (const Extent& extent : layout.extents()) {
    put<tables::Extents>({inode, extent.file_offset}, {extent.length, extent.chunk, extent.chunk_offset});
    file.allocated += extent.length;
    ChunkRecord& chunk = used[extent.chunk];
    ++chunk.references;
    chunk.length = std::max(chunk.length, extent.chunk_offset + extent.length);
  }
  for (const auto& [id, chunk] : used) {
    put<tables::Chunks>(id, chunk);
    summary_.bytes += chunk.length;
  }
  put<tables::Inodes>(inode, file);
  const std::string name = fmt::format("inode-{}", inode.value());
  put<tables::Dirents>({lost_and_found_, name}, {inode, FileType::regular, next_cookie_});
  put<tables::Listing>({lost_and_found_, next_cookie_}, {inode, FileType::regular, name});
  ++next_cookie_;
  ++summary_.files;
  summary_.chunks += used.size();
  summary_.hidden += chunks.size() - used.size();
  summary_.ambiguous += layout.ambiguous();
  return write(Flush::if_full);
}

InodeRecord Salvage::new_inode(FileType type, std::uint32_t mode, InodeId parent) const {
  InodeRecord record;
  record.type = type;
  record.mode = mode;
  record.parent = parent;
  record.nlink = type == FileType::directory ? 2 : 1;
  record.atime = record.mtime = record.ctime = record.btime = now_;
  // Later than any version that mounts remember of an inode with this number.
  record.generation = 1;
  record.change = record.data_change = static_cast<std::uint64_t>(now_);
  if (type == FileType::directory) record.next_cookie = kFirstCookie;
  return record;
}

void Salvage::make_directories() {
  InodeRecord root = new_inode(FileType::directory, 0755, kRootInode);
  root.nlink = 3;
  root.entries = 1;
  root.next_cookie = kFirstCookie + 1;
  put<tables::Inodes>(kRootInode, root);
  put<tables::Dirents>({kRootInode, kLostAndFound}, {lost_and_found_, FileType::directory, kFirstCookie});
  put<tables::Listing>({kRootInode, kFirstCookie}, {lost_and_found_, FileType::directory, kLostAndFound});

  InodeRecord lost = new_inode(FileType::directory, kLostMode, kRootInode);
  lost.entries = summary_.files;
  lost.next_cookie = next_cookie_;
  put<tables::Inodes>(lost_and_found_, lost);
}

// Where they listen they say when they come.
void Salvage::make_servers() {
  for (const auto& [server, identity] : servers_) {
    ServerRecord record;
    record.identity = identity;
    put<tables::Servers>(server, record);
  }
}

void Salvage::make_groups() {
  const auto seconds = static_cast<std::uint64_t>(now_ / kSecond);
  for (const auto& [id, facts] : groups_) {
    const std::vector<ServerId> members = members_of(facts);
    GroupRecord record;
    record.replicas = static_cast<std::uint32_t>(members.size());
    record.pool = fmt::format("replicated:{}", members.size());
    // Beyond every epoch that there was: those count single changes from 1.
    record.epoch = Epoch{seconds << 8};
    record.next_chunk = std::min(facts.last_serial + kSerialsUnseen, ChunkId::kSerialMax + 1);
    for (const ServerId member : members) record.members.push_back({member, MemberState::active});
    put<tables::Groups>(id, record);
  }
}

void Salvage::make_cluster() {
  const auto seconds = static_cast<std::uint64_t>(now_ / kSecond);
  ClusterRecord record;
  record.cluster = cluster_;
  record.format = kStoreFormat;
  record.next_inode = InodeId{lost_and_found_.value() + (1ull << 32)};
  record.generation = static_cast<std::uint64_t>(now_);
  record.next_server = ServerId{servers_.rbegin()->first.value() + (1 << 10)};
  const std::uint32_t last_group = groups_.empty() ? 0 : groups_.rbegin()->first.value();
  record.next_group = GroupId{last_group + (1 << 14)};
  record.next_session = SessionId{seconds << 16};
  record.group_table_version = seconds << 16;
  record.starts = seconds >> 8;  // of 24 bits that there are for it
  record.replicas = replicas_;
  record.chunk_size = options_.chunk_size;
  record.inodes = summary_.files + 2;
  record.chunks = summary_.chunks;
  record.chunk_bytes = summary_.bytes;
  record.restored = now_;
  record.keep_unknown_until = now_ + std::chrono::nanoseconds(options_.keep_unknown).count();
  put<tables::Cluster>(ClusterKey{}, record);
}

Result<SalvageSummary> salvage(const std::vector<std::filesystem::path>& inventories,
                               const std::filesystem::path& directory, const Clock& clock,
                               const SalvageOptions& options) {
  NewDataDirectory made = TRY(NewDataDirectory::begin(directory));
  std::unique_ptr<KvStore> store = TRY(open_rocksdb(made.store(), {}));
  Salvage work(*store, clock.wall());
  for (const std::filesystem::path& path : inventories) {
    RowFileReader file = TRY(RowFileReader::open(path));
    TRY(work.add(file, path.string()));
  }
  const SalvageSummary summary = TRY(work.finish(options));
  store.reset();
  TRY(made.finish());
  return summary;
}

}  // namespace dfs
