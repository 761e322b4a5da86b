// Several files used at random by several threads' worth of operations,
// against plain byte arrays; with small budgets, so that everything that can
// be evicted, sealed early or waited for is.
#include <linux/falloc.h>

#include <algorithm>
#include <random>
#include <thread>

#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

constexpr std::size_t kFileMax = 1500 * KiB;

struct Model {
  std::string name;
  OpenFilePtr file;
  std::string bytes;
};

class RandomRun {
 public:
  enum class Servers { reliable, failing };
  RandomRun(unsigned seed, FakeCluster& cluster, FakeMount& mount, Servers servers,
            const std::string& prefix = "f")
      : random_(seed), cluster_(cluster), mount_(mount), failures_(servers == Servers::failing) {
    for (int i = 0; i < 3; ++i) {
      Model model;
      model.name = prefix + std::to_string(i);
      model.file = mount_.create(model.name);
      models_.push_back(model);
    }
  }
  ~RandomRun() {
    for (Model& model : models_) mount_.fs->close(model.file);
  }

  void run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) step();
    for (std::uint32_t id = 1; id <= 3; ++id) {
      cluster_.storage.change(ServerId{id}, [](FakeServerMood& mood) { mood = {}; });
    }
    ASSERT_TRUE(mount_.fs->sync({}));
    for (Model& model : models_) check(model, 0, kFileMax * 2);
  }
  const std::vector<Model>& models() const { return models_; }

 private:
  std::size_t below(std::size_t n) { return random_() % n; }

  void step() {
    Model& model = models_[below(models_.size())];
    if (failures_ && below(10) == 0) upset();
    switch (below(12)) {
      case 0: return resize(model);
      case 1: ASSERT_TRUE(mount_.fs->flush(*model.file, {})); return;
      case 2: ASSERT_TRUE(mount_.fs->fsync(*model.file, {})); return;
      case 3: return below(2) == 0 ? punch(model) : copy(model);
      case 4:
      case 5:
      case 6: return check(model, below(kFileMax), 1 + below(300 * KiB));
      case 7: return reopen(model);
      default: return write(model);
    }
  }

  void write(Model& model) {
    const std::size_t offset = below(3) == 0 ? model.bytes.size() : below(kFileMax);
    const std::size_t most = below(4) == 0 ? 400 * KiB : 9000;
    const std::string text = pattern(1 + below(most), static_cast<unsigned>(random_() | 1));
    ASSERT_TRUE(mount_.write(*model.file, offset, text));
    if (model.bytes.size() < offset + text.size()) model.bytes.resize(offset + text.size(), '\0');
    model.bytes.replace(offset, text.size(), text);
  }
  void resize(Model& model) {
    SetAttrArgs args;
    args.inode = mount_.inode_of(model.name);
    args.size = below(kFileMax);
    ASSERT_TRUE(mount_.fs->set_attributes(args, {}));
    model.bytes.resize(*args.size, '\0');
  }
  void punch(Model& model) {
    if (model.bytes.empty()) return;
    const std::size_t offset = below(model.bytes.size());
    const std::size_t length = 1 + below(100 * KiB);
    ASSERT_TRUE(mount_.fs->allocate(*model.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                                    length, {}));
    const std::size_t end = std::min(model.bytes.size(), offset + length);
    std::fill(model.bytes.begin() + static_cast<std::ptrdiff_t>(offset),
              model.bytes.begin() + static_cast<std::ptrdiff_t>(end), '\0');
  }
  void copy(Model& target) {
    const Model& source = models_[below(models_.size())];
    if (source.bytes.empty()) return;
    const std::size_t from = below(source.bytes.size());
    const std::size_t to = below(kFileMax);
    const std::size_t length =
        std::min(1 + below(300 * KiB), std::min(source.bytes.size() - from, kFileMax - to));
    const std::size_t apart = to > from ? to - from : from - to;
    if (&source == &target && apart < length) return;
    const auto copied = mount_.fs->copy_range(*source.file, *target.file, {from, to, length}, {});
    ASSERT_TRUE(copied) << copied.error().to_string();
    ASSERT_EQ(*copied, length);
    const std::string text = source.bytes.substr(from, length);
    if (target.bytes.size() < to + length) target.bytes.resize(to + length, '\0');
    target.bytes.replace(to, length, text);
  }
  void check(Model& model, std::size_t offset, std::size_t length) {
    const std::string expected =
        offset < model.bytes.size() ? model.bytes.substr(offset, length) : std::string();
    const std::string found = mount_.read(*model.file, offset, length);
    ASSERT_EQ(found.size(), expected.size());
    ASSERT_TRUE(found == expected) << model.name << " at " << offset;
    ASSERT_EQ(mount_.size(mount_.inode_of(model.name)), model.bytes.size());
  }
  void reopen(Model& model) {
    ASSERT_TRUE(mount_.fs->flush(*model.file, {}));
    mount_.fs->close(model.file);
    model.file = mount_.open(model.name, true).file;
  }
  // One server at a time misbehaves, so that there are always good copies.
  void upset() {
    const ServerId server{1 + static_cast<std::uint32_t>(below(3))};
    const std::size_t how = below(4);
    cluster_.storage.change(server, [how](FakeServerMood& mood) {
      if (how == 0) mood.fail_puts = 1;
      if (how == 1) mood.fail_gets = 1;
      if (how == 2) mood.lose_put_replies = 1;
      if (how == 3) mood.fail_syncs = 1;
    });
  }

  std::mt19937 random_;
  FakeCluster& cluster_;
  FakeMount& mount_;
  const bool failures_;
  std::vector<Model> models_;
};

void run_randomly(unsigned seed, RandomRun::Servers servers) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  SystemClock clock;
  FakeCluster cluster(clock);
  {
    FakeMount mount(cluster);
    RandomRun random(seed, cluster, mount, servers);
    random.run(250);
    // Another mount sees the same, from the servers alone.
    FakeMount other(cluster);
    for (const Model& model : random.models()) {
      const Opened opened = other.open(model.name);
      EXPECT_TRUE(other.read(*opened.file, 0, kFileMax * 2) == model.bytes) << model.name;
      other.fs->close(opened.file);
    }
  }
  for (const std::string& violation : cluster.meta.violations()) ADD_FAILURE() << violation;
}

TEST(EngineRandom, AgreesWithByteArrays) {
  for (unsigned seed = 1; seed <= 6; ++seed) run_randomly(seed, RandomRun::Servers::reliable);
}

TEST(EngineRandom, AgreesWithByteArraysWhileServersFailNowAndThen) {
  for (unsigned seed = 101; seed <= 106; ++seed) run_randomly(seed, RandomRun::Servers::failing);
}

TEST(EngineRandom, KeepsApartWhatThreadsDoAtTheSameTime) {
  SystemClock clock;
  FakeCluster cluster(clock);
  FakeMount mount(cluster);
  std::vector<std::thread> threads;
  for (unsigned seed = 201; seed <= 204; ++seed) {
    threads.emplace_back([&, seed] {
      SCOPED_TRACE("seed " + std::to_string(seed));
      RandomRun random(seed, cluster, mount, RandomRun::Servers::reliable,
                       "t" + std::to_string(seed) + "-");
      random.run(120);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& violation : cluster.meta.violations()) ADD_FAILURE() << violation;
}

}  // namespace
}  // namespace dfs
