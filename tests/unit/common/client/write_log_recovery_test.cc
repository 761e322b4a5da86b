#include "common/client/write_log_recovery.h"

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_directory.h"
#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

namespace fs = std::filesystem;

// A mount with a journal, that can lose power.
class LoggedMount {
 public:
  LoggedMount(FakeCluster& cluster, const fs::path& directory) : meta(cluster.meta, cluster.clock) {
    auto opened = WriteLog::open({.directory = directory, .cluster = "here"});
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().to_string());
    log = *std::move(opened);
    auto created = FileSystem::create(small_config(), meta, cluster.storage, cluster.clock, nullptr,
                                      log.get());
    EXPECT_TRUE(created);
    files = *std::move(created);
  }
  OpenFilePtr create(const std::string& name) {
    auto made = files->create(kRootInode, name, 0644, false, {.read = true, .write = true}, {});
    EXPECT_TRUE(made);
    return made->file;
  }

  FakeMetaClient meta;
  std::unique_ptr<WriteLog> log;
  std::unique_ptr<FileSystem> files;
};

struct WriteLogRecovery : testing::Test {
  // What the journal has now; the mount itself would go on to send.
  void lose_power() {
    fs::copy(directory.path(), left.path(),
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
  void silence(bool silent) {
    for (std::uint32_t server = 1; server <= 3; ++server)
      cluster.storage.change(ServerId{server}, [&](FakeServerMood& m) { m.silent = silent; });
  }
  RecoveryOptions options() const {
    RecoveryOptions result;
    result.kept = left.path() / "kept";
    return result;
  }
  Recovery recover() {
    LoggedMount next(cluster, left.path());
    auto sent = send_former(*next.log, *next.files, options());
    EXPECT_TRUE(sent) << (sent ? "" : sent.error().to_string());
    next.log->remove_former();
    return sent ? *sent : Recovery{};
  }
  std::string read(const std::string& name, std::size_t length) {
    FakeMount reader(cluster);
    return reader.read(*reader.open(name).file, 0, length);
  }

  FakeClock clock;
  FakeCluster cluster{clock};
  TemporaryDirectory directory;
  TemporaryDirectory left;
};

TEST_F(WriteLogRecovery, SendsWhatWasWrittenAndNotSent) {
  const std::string text = pattern(700'000);
  {
    LoggedMount mount(cluster, directory.path());
    mount.log->begin();
    const OpenFilePtr file = mount.create("file");
    ASSERT_TRUE(mount.files->write(*file, 0, as_bytes(text.substr(0, 5000)), {}));
    ASSERT_TRUE(mount.files->fsync(*file, {}));
    silence(true);
    ASSERT_TRUE(mount.files->write(*file, 1000, as_bytes(text.substr(1000)), {}));
    lose_power();
  }
  silence(false);
  const Recovery recovery = recover();
  EXPECT_EQ(recovery.sent_files, 1u);
  EXPECT_EQ(recovery.sent_bytes, text.size() - 1000);
  EXPECT_TRUE(recovery.findings.empty());
  EXPECT_TRUE(read("file", text.size() + 1) == text);
  EXPECT_TRUE(cluster.meta.violations().empty());
  EXPECT_TRUE(read_write_log(left.path(), "here")->files.empty());
}

// A part of what was written was committed, and power was lost before the answer came.
struct HalfCommitted {
  explicit HalfCommitted(FakeCluster& cluster) : mount(cluster), file(mount.create("file")) {
    inode = mount.inode_of("file");
    follows = mount.fs->get_attributes(inode, {})->data_change;
    EXPECT_TRUE(mount.write(*file, 0, pattern(100)));
    EXPECT_TRUE(mount.fs->fsync(*file, {}));
    chunk = mount.fs->extents(inode, {})->front().chunk;
  }
  void log(const fs::path& directory, ChunkId intended) const {
    const auto log = WriteLog::open({.directory = directory, .cluster = "here"}).value();
    log->begin();
    const UnsentFacts facts{.mtime = 1, .data_change = follows};
    const auto first = log->wrote(inode, 0, as_bytes(pattern(100)), facts);
    const auto second = log->wrote(inode, 100, as_bytes(pattern(100, 2)), facts);
    log->intends(inode, follows, intended);
    EXPECT_TRUE(log->make_stable());
  }

  FakeMount mount;
  OpenFilePtr file;
  InodeId inode;
  ChunkId chunk;
  std::uint64_t follows = 0;
};

TEST_F(WriteLogRecovery, KnowsItsOwnCommitThatItDidNotHearOf) {
  HalfCommitted half(cluster);
  half.log(left.path(), half.chunk);
  const Recovery recovery = recover();
  EXPECT_TRUE(recovery.findings.empty());
  EXPECT_EQ(read("file", 201), pattern(100) + pattern(100, 2));
}

TEST_F(WriteLogRecovery, TakesNoOthersChangeForThatCommit) {
  HalfCommitted half(cluster);
  half.log(left.path(), ChunkId{half.chunk.value() + 1});
  EXPECT_EQ(recover().findings.size(), 1u);
  EXPECT_EQ(read("file", 201), pattern(100));
}

TEST_F(WriteLogRecovery, KeepsAsideWhatWouldGoOverTheWritesOfOthers) {
  InodeId inode;
  {
    LoggedMount mount(cluster, directory.path());
    mount.log->begin();
    const OpenFilePtr file = mount.create("file");
    ASSERT_TRUE(mount.files->write(*file, 0, as_bytes("mine, synced"), {}));
    ASSERT_TRUE(mount.files->fsync(*file, {}));
    inode = mount.files->lookup(kRootInode, "file", {})->inode;
    silence(true);
    ASSERT_TRUE(mount.files->write(*file, 100, as_bytes("mine, unsent"), {}));
    lose_power();
  }
  silence(false);
  {
    FakeMount other(cluster);
    const Opened opened = other.open("file", true);
    ASSERT_TRUE(other.write(*opened.file, 100, "another's"));
    ASSERT_TRUE(other.fs->fsync(*opened.file, {}));
  }
  const Recovery recovery = recover();
  EXPECT_EQ(recovery.sent_files, 0u);
  const fs::path kept = left.path() / "kept" / ("inode-" + std::to_string(inode.value()));
  ASSERT_EQ(recovery.findings.size(), 1u);
  EXPECT_NE(recovery.findings.front().find(kept.string()), std::string::npos);
  std::ifstream file(kept, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(content, std::string(100, '\0') + "mine, unsent");
  EXPECT_EQ(read("file", 1000).substr(100), "another's");
}

TEST_F(WriteLogRecovery, HasNothingToDoWhereTheServersHaveTheSameBytes) {
  {
    LoggedMount mount(cluster, directory.path());
    mount.log->begin();
    const OpenFilePtr file = mount.create("file");
    ASSERT_TRUE(mount.files->write(*file, 0, as_bytes("the same"), {}));
    lose_power();
    ASSERT_TRUE(mount.files->fsync(*file, {}));
  }
  const Recovery recovery = recover();
  EXPECT_TRUE(recovery.findings.empty());
  EXPECT_EQ(read("file", 100), "the same");
}

TEST_F(WriteLogRecovery, DropsWhatIsGone) {
  {
    LoggedMount mount(cluster, directory.path());
    mount.log->begin();
    const OpenFilePtr file = mount.create("file");
    ASSERT_TRUE(mount.files->write(*file, 0, as_bytes("text"), {}));
    lose_power();
    mount.files->close(file);
    ASSERT_TRUE(mount.files->unlink(kRootInode, "file", {}));
  }
  const Recovery recovery = recover();
  EXPECT_EQ(recovery.sent_files, 0u);
  EXPECT_TRUE(recovery.findings.empty());
}

TEST_F(WriteLogRecovery, DoesNotBringBackWhatWasTruncated) {
  {
    LoggedMount mount(cluster, directory.path());
    mount.log->begin();
    const OpenFilePtr file = mount.create("file");
    const InodeId inode = mount.files->lookup(kRootInode, "file", {})->inode;
    silence(true);
    ASSERT_TRUE(mount.files->write(*file, 0, as_bytes(pattern(10'000)), {}));
    SetAttrArgs cut;
    cut.inode = inode;
    cut.size = 4000;
    ASSERT_TRUE(mount.files->set_attributes(cut, {}));
    lose_power();
  }
  silence(false);
  const Recovery recovery = recover();
  EXPECT_EQ(recovery.sent_bytes, 4000u);
  EXPECT_TRUE(read("file", 20'000) == pattern(10'000).substr(0, 4000));
}

TEST_F(WriteLogRecovery, LeavesEverythingWhereItIsWhileServersAreSilent) {
  {
    LoggedMount mount(cluster, directory.path());
    mount.log->begin();
    const OpenFilePtr file = mount.create("file");
    silence(true);
    ASSERT_TRUE(mount.files->write(*file, 0, as_bytes("text"), {}));
    lose_power();
  }
  {
    LoggedMount next(cluster, left.path());
    RecoveryOptions impatient = options();
    impatient.patience = std::chrono::milliseconds{20};
    const auto sent = send_former(*next.log, *next.files, impatient);
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Errc::unavailable);
  }
  silence(false);
  EXPECT_EQ(recover().sent_bytes, 4u);
  EXPECT_EQ(read("file", 100), "text");
}

TEST_F(WriteLogRecovery, ThatWasBrokenOffBehindACommitGoesOn) {
  const std::string text = pattern(700'000);
  {
    LoggedMount mount(cluster, directory.path());
    mount.log->begin();
    const OpenFilePtr file = mount.create("file");
    silence(true);
    ASSERT_TRUE(mount.files->write(*file, 0, as_bytes(text), {}));
    lose_power();
  }
  silence(false);
  {
    // All is sent, and nothing of that is known but the intent.
    LoggedMount next(cluster, left.path());
    const LoggedFile& logged = next.log->former().files.begin()->second;
    const auto opened = next.files->open(next.log->former().files.begin()->first,
                                         {.read = true, .write = true}, {});
    ASSERT_TRUE(opened);
    next.files->rewrite(*opened->file, logged.facts);
    ASSERT_TRUE(next.files->write(*opened->file, 0, as_bytes(text.substr(0, 300'000)), {}));
    ASSERT_TRUE(next.files->fsync(*opened->file, {}));
    next.files->close(opened->file);
  }
  const Recovery recovery = recover();
  EXPECT_TRUE(recovery.findings.empty());
  EXPECT_EQ(recovery.sent_files, 1u);
  EXPECT_TRUE(read("file", text.size() + 1) == text);
}

// The log is full of errors from the first write on.
TEST_F(WriteLogRecovery, IsNotNeededWhereTheLogCannotBeWritten) {
  LoggedMount mount(cluster, directory.path());
  mount.log->begin();
  fs::create_directory(segment_path(directory.path(), 1));
  const OpenFilePtr file = mount.create("file");
  ASSERT_TRUE(mount.files->write(*file, 0, as_bytes("text"), {}));
  // Another mount sees it, though nobody has flushed.
  EXPECT_EQ(read("file", 100), "text");
}

}  // namespace
}  // namespace dfs
