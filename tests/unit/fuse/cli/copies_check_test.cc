// What is said of chunks, of which storage servers hold what the test says.
#include "fuse/cli/copies_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

namespace dfs::cli {
namespace {

constexpr GroupId kGroup{1};
ChunkId nth(std::uint64_t serial) { return ChunkId(kGroup, serial); }

class FakeServer final : public StorageClient {
 public:
  void put(PutArgs, std::function<void(Result<PutOutcome>)>) override {}
  void get(std::vector<GetArgs>, std::function<void(std::vector<Result<void>>)>) override {}
  void sync(std::vector<ChunkId>, std::function<void(Result<void>)>) override {}
  void stat(std::vector<ChunkId> asked, std::function<void(Result<std::vector<StoredChunk>>)> done) override {
    ++questions;
    if (silent) return done(fail(Errc::unavailable, "nobody answers"));
    std::vector<StoredChunk> answer;
    for (const ChunkId chunk : asked) {
      StoredChunk stored;
      stored.chunk = chunk;
      stored.present = chunks.contains(chunk);
      answer.push_back(stored);
    }
    done(std::move(answer));
    if (after_answer) after_answer();
  }

  std::set<ChunkId> chunks;
  bool silent = false;
  int questions = 0;
  std::function<void()> after_answer;
};

class FakePool final : public StoragePool {
 public:
  std::shared_ptr<StorageClient> client(ServerId server) override { return servers[server.value() - 1]; }
  std::vector<std::shared_ptr<FakeServer>> servers = {
      std::make_shared<FakeServer>(), std::make_shared<FakeServer>(), std::make_shared<FakeServer>()};
};

// Each chunk is a file of its own, called "/N".
class FakeMeta final : public FsckClient {
 public:
  Result<std::uint64_t> begin(const FsckBegin& args) override {
    searched = args.users_of;
    return 1;
  }
  Result<FsckPart> next(std::uint64_t) override {
    FsckPart part;
    part.done = true;
    for (const ChunkId chunk : searched)
      if (used.contains(chunk)) part.uses.push_back({chunk, {}, "/" + std::to_string(chunk.serial()), 0, 10});
    return part;
  }
  Result<void> end(std::uint64_t) override { return {}; }
  Result<FsckChunks> list_chunks(ChunkId first, std::uint32_t chunks_max) override {
    FsckChunks page;
    for (auto at = used.lower_bound(first); at != used.end() && page.chunks.size() < chunks_max; ++at)
      page.chunks.push_back(*at);
    if (!page.chunks.empty()) page.groups[kGroup] = {2, members};
    return page;
  }

  std::set<ChunkId> used;
  std::vector<ServerId> members = {ServerId{1}, ServerId{2}};
  std::vector<ChunkId> searched;
};

class CopiesCheckTest : public testing::Test {
 protected:
  // Chunks 1 to `count`, on both members.
  void fill(std::uint64_t count) {
    for (std::uint64_t serial = 1; serial <= count; ++serial) {
      meta.used.insert(nth(serial));
      for (int server : {0, 1}) pool.servers[static_cast<std::size_t>(server)]->chunks.insert(nth(serial));
    }
  }
  FakeServer& server(std::size_t number) { return *pool.servers[number - 1]; }
  std::vector<std::string> check() {
    std::vector<std::string> texts;
    CopiesCheck copies(meta, pool);
    const auto done = copies.run(
        [&](const CopiesFinding& finding) -> Result<void> {
          texts.push_back(to_text(finding));
          return {};
        },
        [](std::uint64_t) {});
    EXPECT_TRUE(done);
    summary = *done;
    return texts;
  }

  FakeMeta meta;
  FakePool pool;
  CopiesSummary summary;
};

using Texts = std::vector<std::string>;

TEST_F(CopiesCheckTest, SaysNothingWhenEveryMemberHasEverything) {
  fill(10'000);
  EXPECT_EQ(check(), Texts{});
  EXPECT_EQ(summary.chunks, 10'000U);
  EXPECT_EQ(server(1).questions, 3) << "a page at a time";
}

TEST_F(CopiesCheckTest, NamesTheFileOfAChunkThatNobodyHas) {
  fill(3);
  server(1).chunks.erase(nth(2));
  server(2).chunks.erase(nth(2));
  EXPECT_EQ(check(), Texts{"/2: bytes 0 to 10 are lost: no storage server has chunk " + to_string(nth(2))});
  EXPECT_EQ(summary.lost, 1U);
}

TEST_F(CopiesCheckTest, CountsTheCopiesThatThereAre) {
  fill(2);
  server(2).chunks.erase(nth(1));
  EXPECT_EQ(check(), Texts{"/1: bytes 0 to 10 have 1 of 2 copies (chunk " + to_string(nth(1)) + ")"});
  EXPECT_EQ(summary.few, 1U);
}

TEST_F(CopiesCheckTest, DoesNotCallLostWhatASilentServerMayHave) {
  fill(1);
  server(1).chunks.clear();
  server(2).silent = true;
  EXPECT_EQ(check(), Texts{"/1: bytes 0 to 10 cannot be read now: chunk " + to_string(nth(1)) +
                           " is on storage server 2, if anywhere, and there is no answer"});
  EXPECT_EQ(summary.unreachable, 1U);
}

TEST_F(CopiesCheckTest, SaysNothingOfAChunkThatIsRemovedMeanwhile) {
  fill(2);
  server(1).chunks.erase(nth(1));
  server(2).chunks.erase(nth(1));
  server(2).after_answer = [this] { meta.used.erase(nth(1)); };
  EXPECT_EQ(check(), Texts{});
}

TEST_F(CopiesCheckTest, LooksAgainWhereAGroupHasMovedMeanwhile) {
  fill(2);
  server(2).chunks.clear();
  server(3).chunks = {nth(1), nth(2)};
  server(2).after_answer = [this] { meta.members = {ServerId{1}, ServerId{3}}; };
  EXPECT_EQ(check(), Texts{});
}

TEST_F(CopiesCheckTest, StopsAskingAServerThatDoesNotAnswer) {
  fill(30'000);
  server(2).silent = true;
  EXPECT_EQ(check().size(), 30'000U);
  EXPECT_EQ(server(2).questions, 2);
}

}  // namespace
}  // namespace dfs::cli
