// A core with storage servers that hold nothing: the test says what they have
// and what they did.
#pragma once

#include <algorithm>
#include <set>
#include <vector>

#include "server/meta/repair/repair_jobs.h"
#include "tests/unit/server/meta/core/core_fixture.h"

namespace dfs {

class RepairTest : public CoreTest {
 protected:
  // A cluster of `servers` whose chunks have `replicas` copies.
  void begin(int servers, std::uint32_t replicas) {
    start_anew(replicas);
    for (int server = 1; server <= servers; ++server) add_server(server);
    client = connect();
  }

  static RepairArgs question(int server) {
    RepairArgs args;
    args.server = ServerId{static_cast<std::uint32_t>(server)};
    args.identity = "identity-" + std::to_string(server);
    return args;
  }
  Result<RepairResult> ask(RepairArgs args) {
    return answer_to<RepairResult>(
        [&](auto reply) { return make_repair_job(std::move(args), std::move(reply)); });
  }
  RepairResult ask(int server) { return ask(question(server)).value(); }

  // A server that has `chunks` is asked until no more of its list is
  // wanted; what it is told besides is added up.
  RepairResult compare(int server, const std::set<ChunkId>& chunks) {
    RepairResult all;
    RepairArgs args = question(server);
    int quiet = 0;  // one such answer may be the pause between two parts
    for (int round = 0; round < 200; ++round) {
      const RepairResult told = ask(std::move(args)).value();
      const auto add = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
      add(all.to_drop, told.to_drop);
      add(all.to_delete, told.to_delete);
      all.to_copy = told.to_copy;
      args = question(server);
      if (told.list || told.list_groups) quiet = 0;
      if (told.list_groups) {
        std::set<GroupId> groups;
        for (const ChunkId chunk : chunks) groups.insert(chunk.group());
        args.groups = std::vector<GroupId>(groups.begin(), groups.end());
      } else if (told.list) {
        args.listed = list(chunks, *told.list);
      } else if (++quiet == 3) {
        return all;
      }
      clock.advance(std::chrono::seconds{1});
    }
    ADD_FAILURE() << "the list of server " << server << " is asked for without an end";
    return all;
  }
  static ListedChunks list(const std::set<ChunkId>& chunks, const ListTask& task) {
    const ChunkId group_end{GroupId{task.first.group().value() + 1}, 0};
    std::vector<ChunkId> part(chunks.lower_bound(task.first), chunks.lower_bound(group_end));
    ListedChunks listed{.first = task.first, .end = group_end, .checksum = 0, .chunks = {}};
    if (part.size() > task.chunks_max) {
      part.resize(task.chunks_max);
      listed.end = ChunkId{part.back().value() + 1};
    }
    listed.checksum = checksum_of_list(part);
    if (task.named) listed.chunks = std::move(part);
    return listed;
  }

  // The server has made its copies.
  void copied(int server, const std::vector<CopyTask>& tasks) {
    RepairArgs args = question(server);
    for (const CopyTask& task : tasks) args.copied.push_back(task.chunk);
    ask(std::move(args)).value();
  }
  static std::vector<ChunkId> chunks_of(const std::vector<CopyTask>& tasks) {
    std::vector<ChunkId> chunks;
    for (const CopyTask& task : tasks) chunks.push_back(task.chunk);
    return chunks;
  }

  // A file of one chunk that some servers did not get.
  ChunkId write(const std::string& name, std::vector<ServerId> missing_on = {}) {
    const InodeId inode = make_file(client, name).inode;
    const auto allocated = get<AllocateResult>(client, AllocateArgs{.inode = inode});
    return commit(inode, allocated.ranges.front().first, std::move(missing_on));
  }
  ChunkId commit(InodeId inode, ChunkId chunk, std::vector<ServerId> missing_on = {}) {
    CommitArgs args;
    args.files = {{.inode = inode,
                   .extents = {{.file_offset = 0, .length = 1000, .chunk = chunk}},
                   .holes = {},
                   .size_at_least = 1000}};
    args.placements.push_back({chunk, 1000, std::move(missing_on)});
    get<CommitResult>(client, args);
    return chunk;
  }
  ChunkId allocate_one() {
    return get<AllocateResult>(client, AllocateArgs{.inode = kRootInode}).ranges.front().first;
  }

  ClusterStatusResult status() { return get<ClusterStatusResult>(client, ClusterStatusArgs{}); }
  std::vector<GroupMember> members(GroupId group) {
    return status().group_table.groups.at(group).members;
  }
  std::vector<ServerId> servers_of(GroupId group) {
    std::vector<ServerId> servers;
    for (const GroupMember& member : members(group)) servers.push_back(member.server);
    return servers;
  }
  bool has_state(GroupId group, int server, MemberState state) {
    const auto all = members(group);
    return std::find(all.begin(), all.end(),
                     GroupMember{ServerId{static_cast<std::uint32_t>(server)}, state}) != all.end();
  }
  // Time passes in which only these servers are heard of.
  void pass(std::chrono::milliseconds time, const std::vector<int>& alive) {
    const auto step = config.server_silence_max / 2;
    for (auto left = time; left.count() > 0; left -= std::min(left, step)) {
      clock.advance(std::min(left, step));
      for (const int server : alive) EXPECT_TRUE(heartbeat(server));
      tick();
    }
  }

  Client client;
};

}  // namespace dfs
