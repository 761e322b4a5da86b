// Sessions that may have leases, over a core: what they are granted, what they
// are asked for, and how they answer.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/server/meta/core/core_fixture.h"

namespace dfs {

class LeaseCoreTest : public CoreTest {
 protected:
  Client connect_for_leases() {
    Client client;
    come(client, {});
    return client;
  }
  // Comes (again) and says what it has.
  void come(Client& client, LeaseClaims claims, std::vector<InodeId> held = {}) {
    client.sink = std::make_shared<RecordingSink>();
    client.welcome = hello({.session = client.welcome.session,
                            .epoch = client.welcome.epoch,
                            .program = "test",
                            .held = std::move(held),
                            .wants_leases = true,
                            .leases = std::move(claims)},
                           client.sink)
                         .value();
  }

  // Another process goes on with the session, and says what it remembers; not yet that
  // the rest is forgotten.
  void adopt(Client& client, const SessionEstate& remembered) {
    client.sink = std::make_shared<RecordingSink>();
    client.welcome = hello({.session = client.welcome.session,
                            .epoch = client.welcome.epoch,
                            .program = "test",
                            .locks = remembered.locks,
                            .wants_leases = true,
                            .leases = remembered.leases,
                            .adopts = true},
                           client.sink)
                         .value();
  }

  void has_forgotten(Client& client) {
    get<EmptyResult>(client, ReturnLeasesArgs{.leases = {}, .all_forgotten = true});
  }

  // What `work` submits is committed together.
  void in_one_batch(std::function<void()> work) {
    class Job final : public CoreJob {
     public:
      explicit Job(std::function<void()> work) : work_(std::move(work)) {}
      Result<void> change(CoreState&) override { return {}; }
      // Somebody has the turn, so that all of it is queued.
      void finish(CoreState*, Result<void>) override { work_(); }

     private:
      const std::function<void()> work_;
    };
    core->run(std::make_unique<Job>(std::move(work)));
  }

  // Returns the request's id; its answer may come later.
  std::uint64_t ask(Client& client, MetaArgs args) {
    CoreRequest made = request(client, std::move(args));
    const std::uint64_t id = made.id;
    submit(client, {std::move(made)});
    return id;
  }
  // What the answer to a stat gives; the answer is there.
  LeaseKind stat_lease(Client& client, InodeId inode) {
    return get<AttributesResult>(client, GetAttrArgs{inode}).attributes.lease;
  }
  LeaseKind acquire(Client& client, InodeId inode, LeaseKind kind) {
    return get<AttributesResult>(client, AcquireLeaseArgs{inode, kind}).attributes.lease;
  }
  LeaseKind lease_in(Client& client, std::uint64_t id) {
    const auto answer = client.sink->wait_for(id);
    EXPECT_TRUE(answer) << answer.error().to_string();
    return answer ? std::get<AttributesResult>(*answer).attributes.lease : LeaseKind::none;
  }
  void give_back(Client& client, ReturnedLease lease) {
    get<EmptyResult>(client, ReturnLeasesArgs{{lease}});
  }
  // Answers what it was asked for; returns how many leases that were.
  std::size_t answer_recalls(Client& client) {
    ReturnLeasesArgs returned;
    for (const LeaseRecall& recall : client.sink->take_recalls())
      for (const RecalledLease& lease : recall.leases)
        returned.leases.push_back({lease.inode, lease.keep, recall.order, 0});
    const std::size_t count = returned.leases.size();
    if (count > 0) get<EmptyResult>(client, std::move(returned));
    return count;
  }
  // The one recall that came.
  LeaseRecall only_recall(Client& client) {
    std::vector<LeaseRecall> recalls = client.sink->take_recalls();
    EXPECT_EQ(recalls.size(), 1u);
    return recalls.empty() ? LeaseRecall{} : recalls.front();
  }
  std::uint64_t last_order(Client& client) { return client.sink->order_of(client.next_id - 1); }
  SetAttrArgs chmod(InodeId inode, std::uint32_t mode = 0600) {
    return {.inode = inode, .mode = mode};
  }
  std::uint32_t mode_of(Client& client, InodeId inode) {
    return get<AttributesResult>(client, GetAttrArgs{inode}).attributes.mode;
  }
};

}  // namespace dfs
