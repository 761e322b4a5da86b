#include "server/meta/store/keys.h"

#include <fmt/format.h>

namespace dfs::keys {
namespace {

constexpr std::size_t kId64 = sizeof(std::uint64_t);
constexpr std::size_t kId32 = sizeof(std::uint32_t);

}  // namespace

bool parse(std::string_view raw, ChunkId& chunk) {
  if (raw.size() != kId64) return false;
  chunk = ChunkId{load_be64(raw.data())};
  return true;
}

bool parse(std::string_view raw, NamedKey& key) {
  if (raw.size() <= kId64) return false;
  key.inode = InodeId{load_be64(raw.data())};
  key.name.assign(raw.substr(kId64));
  return true;
}

bool parse(std::string_view raw, ListingKey& key) {
  if (raw.size() != 2 * kId64) return false;
  key = {InodeId{load_be64(raw.data())}, load_be64(raw.data() + kId64)};
  return true;
}

bool parse(std::string_view raw, ExtentKey& key) {
  if (raw.size() != 2 * kId64) return false;
  key = {InodeId{load_be64(raw.data())}, load_be64(raw.data() + kId64)};
  return true;
}

bool parse(std::string_view raw, MissingKey& key) {
  if (raw.size() != kId32 + kId64) return false;
  key = {ServerId{load_be32(raw.data())}, ChunkId{load_be64(raw.data() + kId32)}};
  return true;
}

bool parse(std::string_view raw, ReplyKey& key) {
  if (raw.size() != 2 * kId64) return false;
  key = {SessionId{load_be64(raw.data())}, Sequence{load_be64(raw.data() + kId64)}};
  return true;
}

bool parse(std::string_view raw, ClusterKey&) { return raw == "luster"; }

std::string for_people(std::string_view raw_key) {
  if (raw_key.empty()) return "(empty)";
  std::string text(1, raw_key.front());
  text += ' ';
  for (const char byte : raw_key.substr(1))
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(byte));
  return text;
}

}  // namespace dfs::keys
