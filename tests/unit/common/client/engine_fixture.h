// A whole client over doubles: storage servers and a metadata server in
// memory, and any number of mounts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/client/file_system.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_meta_client.h"
#include "tests/support/fake_meta_server.h"
#include "tests/support/fake_storage_pool.h"

namespace dfs {

using Groups = std::vector<std::vector<std::uint32_t>>;

// Servers whose time is `clock`.
struct FakeCluster {
  explicit FakeCluster(Clock& its_clock, std::uint32_t servers = 3, Groups groups = {{1, 2, 3}})
      : clock(its_clock), storage(servers, &log), meta(storage, groups, its_clock, &log) {}

  Clock& clock;
  EventLog log;
  FakeStoragePool storage;
  FakeMetaServer meta;
};

inline ClientConfig small_config() {
  ClientConfig config;
  config.write_buffer_bytes = 4 * MiB;
  config.read_cache_bytes = 4 * MiB;
  config.read_ahead_bytes_max = 1 * MiB;
  return config;
}

// One mount, with calls as tests like them.
class FakeMount {
 public:
  explicit FakeMount(FakeCluster& cluster, const ClientConfig& config = small_config())
      : meta(cluster.meta, cluster.clock) {
    auto created = FileSystem::create(config, meta, cluster.storage, cluster.clock);
    EXPECT_TRUE(created) << (created ? "" : created.error().to_string());
    fs = *std::move(created);
    if (config.leases) meta.set_lease_hooks(fs->lease_hooks());
  }

  ~FakeMount() { meta.end_leases(); }

  OpenFilePtr create(const std::string& name) {
    OpenOptions options;
    options.write = true;
    auto made = fs->create(kRootInode, name, 0644, false, options, context);
    EXPECT_TRUE(made) << (made ? "" : made.error().to_string());
    return made->file;
  }
  InodeId inode_of(const std::string& name) {
    auto found = fs->lookup(kRootInode, name, context);
    EXPECT_TRUE(found);
    return found->inode;
  }
  Opened open(const std::string& name, bool write = false, bool truncate = false) {
    OpenOptions options;
    options.write = write;
    options.truncate = truncate;
    auto opened = fs->open(inode_of(name), options, context);
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().to_string());
    return *opened;
  }
  Result<void> write(OpenFile& file, std::uint64_t offset, const std::string& text) {
    return fs->write(file, offset, as_bytes(text), context);
  }
  std::string read(OpenFile& file, std::uint64_t offset, std::size_t length) {
    std::string text(length, '?');
    auto count = fs->read(file, offset,
                          MutableBuffer(reinterpret_cast<std::byte*>(text.data()), length), context);
    EXPECT_TRUE(count) << (count ? "" : count.error().to_string());
    text.resize(count ? *count : 0);
    return text;
  }
  std::uint64_t size(InodeId inode) { return fs->get_attributes(inode, context)->size; }

  FakeMetaClient meta;
  std::unique_ptr<FileSystem> fs;
  CallContext context;
};

// Text of `length` bytes in which every position is recognizable.
inline std::string pattern(std::size_t length, unsigned seed = 1) {
  std::string text(length, '\0');
  std::uint64_t x = seed * 0x9E3779B97F4A7C15U + 1;
  for (char& c : text) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    c = static_cast<char>(x);
  }
  return text;
}

}  // namespace dfs
