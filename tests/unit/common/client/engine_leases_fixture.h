// Two mounts of one cluster that have leases.
#pragma once

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {

inline ClientConfig leased_config() {
  ClientConfig config = small_config();
  config.leases = true;
  return config;
}

class LeasedMounts : public ::testing::Test {
 protected:
  ~LeasedMounts() override {
    for (const std::string& violation : cluster_.meta.violations()) ADD_FAILURE() << violation;
  }
  // So many calls of the metadata server while `what` runs here. (Chunk ids are
  // fetched in the background.)
  template <typename What>
  std::size_t calls(What&& what) {
    const auto count = [this] { return here_.meta.calls() - here_.meta.calls<AllocateArgs>(); };
    const std::size_t before = count();
    what();
    return count() - before;
  }
  void write_file(FakeMount& mount, const std::string& name, const std::string& text) {
    const OpenFilePtr file = mount.create(name);
    ASSERT_TRUE(mount.write(*file, 0, text));
    ASSERT_TRUE(mount.fs->fsync(*file, {}));
    mount.fs->close(file);
  }
  std::string read_file(FakeMount& mount, const std::string& name) {
    const Opened opened = mount.open(name);
    const std::string text = mount.read(*opened.file, 0, 1 * MiB);
    mount.fs->close(opened.file);
    return text;
  }
  void cut(FakeMount& mount, InodeId inode, std::uint64_t size) {
    SetAttrArgs args;
    args.inode = inode;
    args.size = size;
    EXPECT_TRUE(mount.fs->set_attributes(args, {}));
  }
  void change_mode(FakeMount& mount, InodeId inode, std::uint32_t mode) {
    SetAttrArgs args;
    args.inode = inode;
    args.mode = mode;
    EXPECT_TRUE(mount.fs->set_attributes(args, {}));
  }
  Errc lookup(FakeMount& mount, const std::string& name) {
    const auto found = mount.fs->lookup(kRootInode, name, {});
    return found ? Errc::ok : found.error().code;
  }
  std::vector<std::string> list(FakeMount& mount) {
    std::vector<std::string> names;
    const auto listed = mount.fs->read_directory(kRootInode, 0, 100, {});
    EXPECT_TRUE(listed);
    for (const Entry& entry : listed->entries) names.push_back(entry.name);
    return names;
  }
  // What another thread is about to bring about.
  template <typename Is>
  static bool await(Is&& is) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!is() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return is();
  }
  LeaseKind lease(FakeMount& mount, InodeId inode) {
    return cluster_.meta.lease(mount.meta.session(), inode);
  }

  FakeClock clock_;
  FakeCluster cluster_{clock_};
  FakeMount here_{cluster_, leased_config()};
  FakeMount there_{cluster_, leased_config()};
};

}  // namespace dfs
