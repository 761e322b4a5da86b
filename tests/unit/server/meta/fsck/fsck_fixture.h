// A small file system, made by a core; then the core is gone, the test damages
// rows, and they are checked and mended.
#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/meta/fsck/rounds.h"
#include "server/meta/fsck/store_mender.h"
#include "tests/unit/server/meta/core/core_fixture.h"
#include "tests/unit/server/meta/ops/consistency.h"

namespace dfs::fsck {

class Heard final : public Listener {
 public:
  Result<void> report(Report report) override {
    texts.push_back(report.text);
    reports.push_back(std::move(report));
    return {};
  }
  Result<void> passed(std::uint64_t) override { return {}; }

  std::vector<std::string> texts;
  std::vector<Report> reports;
};

class FsckTest : public CoreTest {
 protected:
  FsckTest() {
    start_anew(2);
    for (int server = 1; server <= 3; ++server) add_server(server);
    client = connect();
    directory = make(kRootInode, "dir", FileType::directory);
    sub = make(directory, "sub", FileType::directory);
    file = make(directory, "file", FileType::regular);
    chunk = write_chunk(client, file).chunk;
    get<EntryResult>(client, LinkArgs{file, kRootInode, "link"});
    symlink = get<EntryResult>(client, SymlinkArgs{directory, "symlink", "target"}).attributes.inode;
    get<AttributesResult>(client, SetXattrArgs{file, "user.a", "value"});
    held = make_open_file(client, "held").inode;
    write_chunk(client, held);
    EXPECT_EQ(unlink(client, "held"), Errc::ok);
  }
  InodeId make(InodeId parent, const std::string& name, FileType type) {
    return get<EntryResult>(client, CreateArgs{.parent = parent, .name = name, .type = type, .mode = 0755})
        .attributes.inode;
  }
  void stop() { core.reset(); }

  template <typename Table>
  typename Table::Record row(typename Table::View key) {
    std::string raw;
    raw_key<Table>(raw, key);
    const auto bytes = store.get(raw).value();
    typename Table::Record record;
    EXPECT_TRUE(bytes && decode(*bytes, record)) << keys::for_people(raw);
    return record;
  }
  template <typename Table>
  bool has(typename Table::View key) {
    std::string raw;
    raw_key<Table>(raw, key);
    return store.get(raw).value().has_value();
  }
  void put_raw(const std::string& raw, const std::string& bytes) {
    KvBatch batch;
    batch.put(raw, bytes);
    ASSERT_TRUE(store.write(batch, KvDurability::process));
  }
  template <typename Table>
  void put(typename Table::View key, const typename Table::Record& record) {
    std::string raw;
    raw_key<Table>(raw, key);
    std::string bytes;
    encode(record, bytes);
    put_raw(raw, bytes);
  }
  // Changes one row with `change(record)`.
  template <typename Table, typename Change>
  void damage(typename Table::View key, const Change& change) {
    auto record = row<Table>(key);
    change(record);
    put<Table>(key, record);
  }
  template <typename Table>
  void spoil(typename Table::View key) {
    std::string raw;
    raw_key<Table>(raw, key);
    put_raw(raw, "\xff\xff\xff");
  }
  template <typename Table>
  void erase(typename Table::View key) {
    std::string raw;
    raw_key<Table>(raw, key);
    KvBatch batch;
    batch.erase(raw);
    ASSERT_TRUE(store.write(batch, KvDurability::process));
  }

  std::vector<std::string> check() {
    Heard heard;
    const auto checked = check_in_rounds(store, nullptr, heard);
    EXPECT_TRUE(checked) << checked.error().to_string();
    EXPECT_EQ(checked->left, heard.texts.size());
    return heard.texts;
  }
  // What was mended, and how: "TEXT: MENDED".
  std::vector<std::string> repair() {
    Heard heard;
    const auto mender = StoreMender::create(store, *log, clock).value();
    summary = check_in_rounds(store, mender.get(), heard).value();
    std::vector<std::string> texts;
    for (const Report& report : heard.reports) texts.push_back(report.text + ": " + report.mended + report.not_mended);
    return texts;
  }
  // The damage is found, mended, and gone; a core starts on what is left of it.
  void expect_mended(const std::vector<std::string>& found) {
    using testing::Contains;
    using testing::HasSubstr;
    const auto texts = check();
    for (const std::string& each : found) EXPECT_THAT(texts, Contains(HasSubstr(each)));
    const auto mended = repair();
    EXPECT_EQ(summary.left, 0U) << testing::PrintToString(mended);
    EXPECT_GE(summary.mended, 1U);
    EXPECT_EQ(check(), std::vector<std::string>{});
    // As others count who know nothing of this check.
    const ClusterRecord row_now = row<tables::Cluster>({});
    EXPECT_EQ(find_inconsistencies(store, {row_now.inodes, row_now.chunks, row_now.chunk_bytes, row_now.missing,
                                           row_now.missing_bytes, row_now.garbage}),
              std::vector<std::string>{});
    start();
    client = connect();
  }
  // It is found and stays as it is.
  void expect_left(const std::string& found) {
    using testing::Contains;
    using testing::HasSubstr;
    EXPECT_THAT(check(), Contains(HasSubstr(found)));
    repair();
    EXPECT_GE(summary.left, 1U);
    EXPECT_THAT(check(), Contains(HasSubstr(found)));
  }
  // A member of the chunk's group.
  ServerId a_member() { return row<tables::Groups>(chunk.group()).members.front().server; }
  InodeId child(InodeId parent, const std::string& name) {
    const auto result = call(client, LookupArgs{parent, name});
    return result ? std::get<EntryResult>(*result).attributes.inode : InodeId{};
  }

  Client client;
  Summary summary;
  InodeId directory;
  InodeId sub;
  InodeId file;     // /dir/file and /link, one chunk
  InodeId symlink;
  InodeId held;     // unlinked, open
  ChunkId chunk;
};

}  // namespace dfs::fsck
