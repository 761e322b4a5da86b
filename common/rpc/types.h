// What the programs speak of, in C++: the twins of proto/dfs/v1/types.proto.
// Plain values; conversion is in convert.h and nowhere else.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"

namespace dfs {

enum class FileType : std::uint8_t {
  regular = 1,
  directory = 2,
  symlink = 3,
  fifo = 4,
  socket = 5,
  character_device = 6,
  block_device = 7,
};

// What a session may rely on until it is asked to give it back: that what it
// was told of an inode is still true (read), or that it may change it without
// a word (write). proto/dfs/v1/types.proto says more.
enum class LeaseKind : std::uint8_t {
  none = 0,
  read = 1,
  write = 2,
  write_once = 3,  // to be given back after the operation that asked for it
};

enum class Consistency : std::uint8_t { strict = 0, close_to_open = 1, relaxed = 2 };

// What stat(2) shows. `mode` holds the permission bits only (07777).
struct Attributes {
  InodeId inode;
  FileType type = FileType::regular;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t nlink = 0;
  std::uint64_t size = 0;
  std::uint64_t rdev = 0;
  WallNanos atime = 0;
  WallNanos mtime = 0;
  WallNanos ctime = 0;
  WallNanos btime = 0;
  std::uint64_t allocated = 0;    // bytes behind st_blocks
  std::uint64_t generation = 0;   // with inode: unique forever
  std::uint64_t change = 0;       // grows with every change of attributes or contents
  std::uint64_t data_change = 0;  // grows with every change of contents or size
  std::uint32_t chunk_size = 0;   // regular files: where new data is cut
  std::uint32_t replicas = 0;     // regular files: copies their policy asks for; 0: not said
  std::uint32_t xattrs = 0;       // extended attributes it has, ACLs among them
  Consistency consistency = Consistency::strict;
  // What came with this answer, if the session that got it may have leases.
  LeaseKind lease = LeaseKind::none;
  bool provisional = false;  // another session may be changing it: size and times may be old
  // The client's own number of the grant (lease_order.h); 0 where there is none.
  std::uint64_t lease_order = 0;
};

// [file_offset, end()) of a file lies at chunk_offset of a chunk.
struct Extent {
  std::uint64_t file_offset = 0;
  std::uint32_t length = 0;
  ChunkId chunk;
  std::uint32_t chunk_offset = 0;

  std::uint64_t end() const { return file_offset + length; }
  friend bool operator==(const Extent&, const Extent&) = default;
};

struct Entry {
  std::string name;
  Attributes attributes;
  std::uint64_t cookie = 0;  // where a listing goes on after this entry
};

enum class MemberState : std::uint8_t { active = 1, joining = 2, leaving = 3 };

struct GroupMember {
  ServerId server;
  MemberState state = MemberState::active;
  friend bool operator==(const GroupMember&, const GroupMember&) = default;
};

struct Group {
  GroupId group;
  std::string pool;
  Epoch epoch;
  std::vector<GroupMember> members;  // the first one forwards by default
};

struct ServerInfo {
  ServerId server;
  std::string address;       // host:port
  std::string local_socket;  // unix socket on the server's machine; may be empty
  std::string machine;       // boot id: equal ids share local sockets
  bool alive = false;        // as the metadata server sees it
  std::map<std::string, std::string> labels;
  std::uint64_t capacity = 0;
  std::uint64_t available = 0;
  std::uint64_t chunks = 0;
};

// Which groups exist and where their members listen. Shared as an immutable
// snapshot; a newer one has a larger version.
struct GroupTable {
  std::uint64_t version = 0;
  std::map<GroupId, Group> groups;
  std::map<ServerId, ServerInfo> servers;
};
using GroupTablePtr = std::shared_ptr<const GroupTable>;

enum class LockFamily : std::uint8_t {
  posix = 1,  // ranges of bytes; open file description locks too
  flock = 2,  // whole files
};
enum class LockKind : std::uint8_t {
  shared = 1,
  exclusive = 2,
  unlocked = 3,  // removes what is there
};

// Where locks end that reach to the end of the file, however far that moves.
inline constexpr std::uint64_t kLockEndMax = std::uint64_t{1} << 63;

// An advisory lock on [start, end) of a file. Those of flock are on all of it.
struct FileLock {
  LockFamily family = LockFamily::posix;
  LockKind kind = LockKind::shared;
  std::uint64_t owner = 0;  // unique among those of its family in the session
  std::uint64_t start = 0;
  std::uint64_t end = kLockEndMax;
  std::uint32_t process = 0;  // for people

  friend bool operator==(const FileLock&, const FileLock&) = default;
};

struct HeldLock {
  InodeId inode;
  FileLock lock;
};

struct RecalledLease {
  InodeId inode;
  LeaseKind keep = LeaseKind::none;  // none or read: what may stay
  friend bool operator==(const RecalledLease&, const RecalledLease&) = default;
};
struct LeaseRecall {
  std::uint64_t order = 0;
  std::vector<RecalledLease> leases;
};
// The leases that a session says it has.
struct LeaseClaims {
  std::vector<InodeId> read;
  std::vector<InodeId> write;
};
// What a session has, as the server tells a process that goes on with it in place
// of one that was killed.
struct SessionEstate {
  std::uint64_t lease_order = 0;  // of the latest grant, or above
  // False: the server was restarted, or it has ended the session. Then there is what
  // the session remembers itself and has been given back, and others may have changed
  // the rest of what the former process relied on.
  bool is_complete = false;
  LeaseClaims leases;
  std::vector<HeldLock> locks;
};
// What the server says of leases when a connection stands.
struct LeaseTerms {
  std::uint64_t order = 0;     // grants up to it that were not claimed are void
  std::vector<InodeId> lost;   // of what was claimed
  std::chrono::milliseconds lease_time{0};  // how long a recall is waited for
};

// The right to create chunks [first, first + count) of one group.
struct ChunkRange {
  ChunkId first;
  std::uint32_t count = 0;
  std::string capability;
  WallNanos expires = 0;
};

}  // namespace dfs
