#include "common/rpc/chunk_inventory.h"

#include <charconv>

#include <fmt/format.h>

#include "common/base/bytes.h"

namespace dfs {
namespace {

constexpr const char* kWhat = "chunk inventory";
constexpr std::size_t kFixedBytes = 29;

template <typename T>
void append(std::string& to, T value) {
  char bytes[sizeof value];
  store_le(bytes, value);
  to.append(bytes, sizeof bytes);
}

template <typename Number>
Result<Number> number(const RowFileReader& file, const std::string& name, std::string_view key) {
  const std::string& text = file.fact(key);
  Number value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || text.empty())
    return fail(Errc::invalid, fmt::format("the head of {} does not say its {}", name, key));
  return value;
}

}  // namespace

RowFileFacts inventory_facts(const InventoryHead& head) {
  return {{"what", kWhat},
          {"cluster", head.cluster},
          {"server", std::to_string(head.server.value())},
          {"identity", head.identity},
          {"time", std::to_string(head.time)}};
}

Result<InventoryHead> read_inventory_head(const RowFileReader& file, const std::string& name) {
  if (file.fact("what") != kWhat)
    return fail(Errc::invalid, fmt::format("{} is no inventory of chunks: it says that it is \"{}\"",
                                           name, file.fact("what")));
  InventoryHead head;
  head.cluster = file.fact("cluster");
  head.identity = file.fact("identity");
  const auto server = TRY(number<std::uint32_t>(file, name, "server"));
  head.server = ServerId{server};
  head.time = TRY(number<WallNanos>(file, name, "time"));
  if (head.cluster.empty() || head.identity.empty() || head.server == ServerId{})
    return fail(Errc::invalid, fmt::format("{} does not say of which storage server it is", name));
  return head;
}

void encode(const InventoryRow& row, std::string& key, std::string& value) {
  key.resize(8);
  store_be64(key.data(), row.chunk.value());
  value.clear();
  append(value, row.length);
  append(value, row.inode.value());
  append(value, row.file_offset);
  append(value, row.written);
  append(value, static_cast<std::uint8_t>(row.kind));
  for (const FileRun& run : row.runs) {
    append(value, run.file_offset);
    append(value, run.length);
  }
}

bool decode(std::string_view key, std::string_view value, InventoryRow& row) {
  if (key.size() != 8 || value.size() < kFixedBytes) return false;
  const char* at = value.data();
  row.chunk = ChunkId{load_be64(key.data())};
  row.length = load_le<std::uint32_t>(at);
  row.inode = InodeId{load_le<std::uint64_t>(at + 4)};
  row.file_offset = load_le<std::uint64_t>(at + 12);
  row.written = load_le<WallNanos>(at + 20);
  const auto kind = load_le<std::uint8_t>(at + 28);
  if (kind > static_cast<std::uint8_t>(InventoryRow::Kind::unknown)) return false;
  row.kind = static_cast<InventoryRow::Kind>(kind);
  row.runs.clear();
  value.remove_prefix(kFixedBytes);
  if (value.size() % kRunBytes != 0) return false;
  for (; !value.empty(); value.remove_prefix(kRunBytes))
    row.runs.push_back({load_le<std::uint64_t>(value.data()), load_le<std::uint32_t>(value.data() + 8)});
  const bool has_runs = !row.runs.empty();
  return has_runs == (row.kind == InventoryRow::Kind::runs) && row.chunk.serial() != 0 &&
         row.length > 0 && row.length <= kChunkSizeMax;
}

}  // namespace dfs
