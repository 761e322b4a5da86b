// A core under several threads, with its helper.
#include <atomic>
#include <mutex>
#include <thread>

#include "common/base/clock.h"
#include "tests/unit/server/meta/core/core_fixture.h"

namespace dfs {
namespace {

class CoreThreads : public CoreTest {
 protected:
  CoreThreads() {
    core.reset();
    auto started =
        Core::start(config, SystemClock::instance(), store, *log, Core::Helper::thread);
    core = std::move(*started);
  }
};

TEST_F(CoreThreads, AnswerEveryRequestOfEveryThreadOnce) {
  constexpr int kThreads = 4;
  constexpr int kNames = 300;
  std::vector<Client> clients;
  for (int i = 0; i < kThreads; ++i) clients.push_back(connect());
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      Client& client = clients[static_cast<std::size_t>(i)];
      for (int name = 0; name < kNames; ++name) {
        make_file(client, std::to_string(i) + "-" + std::to_string(name));
        client.answered = client.next_sequence - 1;
        if (name % 50 != 0) continue;
        EXPECT_TRUE(call(client, SyncArgs{}));
      }
    });
  for (std::thread& thread : threads) thread.join();
  const auto root = get<AttributesResult>(clients.front(), GetAttrArgs{kRootInode});
  EXPECT_EQ(get<StatFsResult>(clients.front(), StatFsArgs{}).inodes_used, 1u + kThreads * kNames);
  EXPECT_EQ(root.attributes.inode, kRootInode);
}

TEST_F(CoreThreads, RefuseWhatTheQueueCannotHoldInsteadOfWaiting) {
  config.queue_max = 2;
  core.reset();
  auto started = Core::start(config, SystemClock::instance(), store, *log, Core::Helper::thread);
  core = std::move(*started);
  Client client = connect();

  // Keeps the core busy until the test lets it go on.
  class Holding final : public CoreJob {
   public:
    Holding(std::mutex& gate, std::atomic<bool>& inside) : gate_(gate), inside_(inside) {}
    Result<void> change(CoreState&) override {
      inside_ = true;
      inside_.notify_all();
      const std::lock_guard wait(gate_);
      return {};
    }
    void finish(CoreState*, Result<void>) override {}

   private:
    std::mutex& gate_;
    std::atomic<bool>& inside_;
  };
  std::mutex gate;
  std::atomic<bool> inside{false};
  std::unique_lock shut(gate);
  std::thread holder([&] { core->run(std::make_unique<Holding>(gate, inside)); });
  inside.wait(false);

  std::vector<CoreRequest> requests;
  for (int i = 0; i < 3; ++i) requests.push_back(request(client, GetAttrArgs{kRootInode}));
  for (const CoreRequest& one : requests) submit(client, {one});
  EXPECT_EQ(error_of(client.sink->wait_for(requests[2].id)), Errc::overloaded);
  EXPECT_FALSE(client.sink->has(requests[0].id));
  shut.unlock();
  EXPECT_TRUE(client.sink->wait_for(requests[0].id));
  EXPECT_TRUE(client.sink->wait_for(requests[1].id));
  holder.join();
}

TEST_F(CoreThreads, RefuseEverythingOnceStopped) {
  Client client = connect();
  core->stop();
  EXPECT_EQ(error_of(call(client, GetAttrArgs{kRootInode})), Errc::overloaded);
  EXPECT_EQ(hello({}, client.sink).error().code, Errc::unavailable);
}

}  // namespace
}  // namespace dfs
