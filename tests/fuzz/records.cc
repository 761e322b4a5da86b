// Rows of the metadata store as a damaged database may hold them: their keys
// and their records, and the row that says which cluster this is.
//
// Input: a line with a table's letter, a line with the rest of a row's key,
// then the record.
#include "server/meta/store/records.h"

#include "common/kv/memory_kv_store.h"
#include "dfs/v1/record.pb.h"
#include "server/meta/core/cluster_format.h"
#include "server/meta/store/tables.h"
#include "tests/fuzz/input.h"
#include "tests/support/fake_clock.h"

namespace dfs::fuzz {
namespace {

template <typename Table>
void check_key(std::string_view raw) {
  typename Table::Key key{};
  if (!keys::parse(raw, key)) return;
  std::string again;
  keys::append(again, typename Table::View(key));
  invariant(again == raw, "a key survives");
}

template <typename Table>
void check_record(std::string_view bytes) {
  typename Table::Record record;
  if (!decode(bytes, record)) return;
  std::string encoded;
  encode(record, encoded);
  typename Table::Record again;
  invariant(decode(encoded, again), "a record that was encoded decodes");
  std::string second;
  encode(again, second);
  invariant(second == encoded, "a record survives");
}

template <typename Table, typename Message>
void check_row(std::string_view key, std::string_view input) {
  check_key<Table>(key);
  Message message;
  check_record<Table>(input);
  if (read_message(input, message)) check_record<Table>(message.SerializeAsString());
}

// A store that begins with any bytes is refused in words, or served.
void check_start(std::string_view key, std::string_view input) {
  v1::ClusterRecord message;
  const bool is_message = read_message(input, message);
  MemoryKvStore store;
  KvBatch batch;
  if (is_message) batch.put("cluster", message.SerializeAsString());
  if (!key.empty()) batch.put(std::string(key), std::string(input));
  if (batch.empty()) return;
  invariant(store.write(batch, KvDurability::stable).has_value(), "memory can be written");
  FakeClock clock;
  const auto opened = open_cluster(store, MetaConfig{}, clock);
  if (opened) {
    invariant(opened->format == kStoreFormat, "another format is not opened");
  } else {
    invariant(!opened.error().text.empty(), "a refusal says why");
  }
}

void run(std::string_view input) {
  const std::string_view table = take_line(input);
  const std::string_view key = take_line(input);
  if (table.size() != 1) return;
  switch (table.front()) {
    case 'I': return check_row<tables::Inodes, v1::InodeRecord>(key, input);
    case 'D': return check_row<tables::Dirents, v1::DirentRecord>(key, input);
    case 'E': return check_row<tables::Listing, v1::DirentRecord>(key, input);
    case 'X': return check_row<tables::Extents, v1::ExtentRecord>(key, input);
    case 'A': return check_key<tables::Xattrs>(key);
    case 'C': return check_row<tables::Chunks, v1::ChunkRecord>(key, input);
    case 'G': return check_row<tables::Garbage, v1::GarbageRecord>(key, input);
    case 'O': return check_row<tables::Orphans, v1::OrphanRecord>(key, input);
    case 'P': return check_row<tables::Groups, v1::GroupRecord>(key, input);
    case 'M': return check_row<tables::Missing, v1::MissingRecord>(key, input);
    case 'N': return check_row<tables::Servers, v1::ServerRecord>(key, input);
    case 'S': return check_row<tables::Sessions, v1::SessionRecord>(key, input);
    case 'R': return check_key<tables::Replies>(key);
    case 'c': return check_start(key, input);
    default: return;
  }
}

}  // namespace
}  // namespace dfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dfs::fuzz::run(dfs::fuzz::text_of(data, size));
  return 0;
}
