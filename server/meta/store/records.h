// What the rows of the metadata tables hold, as plain C++ values: the twins
// of proto/dfs/v1/record.proto, which is their form on disk.
//
// encode() replaces `out`. decode() is false, and `record` of no use, when the
// bytes are not such a record. Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/rpc/types.h"

namespace dfs {

struct InodeRecord {
  FileType type = FileType::regular;
  std::uint32_t mode = 0;  // permission bits only (07777)
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t nlink = 0;
  std::uint64_t size = 0;  // of regular files and symlinks
  WallNanos atime = 0;
  WallNanos mtime = 0;
  WallNanos ctime = 0;
  WallNanos btime = 0;
  std::uint64_t rdev = 0;
  // Directories: the one parent (the root's is itself); others: where last named.
  InodeId parent;
  std::string target;      // symlinks
  std::uint64_t allocated = 0;  // bytes in extents
  std::uint64_t generation = 0;
  std::uint64_t change = 0;
  std::uint64_t data_change = 0;
  std::uint64_t entries = 0;      // directories: how many names
  std::uint32_t replicas = 0;     // policy; 0: the parent's
  std::uint32_t chunk_size = 0;   // policy; 0: the parent's
  std::uint32_t xattrs = 0;       // how many; 0 spares a look-up
  std::uint64_t next_cookie = 0;  // directories
  Consistency consistency = Consistency::strict;  // directories: of what is made in them, too

  bool is_directory() const { return type == FileType::directory; }
  bool is_regular() const { return type == FileType::regular; }
};

struct DirentRecord {
  InodeId inode;
  FileType type = FileType::regular;
  std::uint64_t cookie = 0;  // its place in the listing
};
struct ListingRecord {
  InodeId inode;
  FileType type = FileType::regular;
  std::string name;
};
struct ExtentRecord {
  std::uint32_t length = 0;
  ChunkId chunk;
  std::uint32_t chunk_offset = 0;
};
// The value of an extended attribute, as given.
struct XattrRecord {
  std::string value;
};
struct ChunkRecord {
  std::uint32_t length = 0;
  std::uint32_t references = 0;  // extents that name it
};
struct GarbageRecord {
  std::vector<ServerId> servers;  // that still have to delete it
  std::uint32_t length = 0;
};
struct OrphanRecord {
  WallNanos since = 0;
  bool unnamed = false;  // never had a name: a link may give it one
};
struct GroupRecord {
  std::string pool;
  Epoch epoch;
  std::vector<GroupMember> members;
  std::uint64_t next_chunk = 0;  // serial of the next chunk to allocate
  std::uint32_t replicas = 0;
  // Chunks with smaller serial numbers that no file names are given up: no
  // commit may name them any more.
  std::uint64_t given_up_below = 0;
};
struct MissingRecord {
  std::uint32_t length = 0;
  std::vector<ServerId> sources = {};  // that have it without being members
};
struct ConversionRecord {
  std::uint64_t position = 0;  // what of the file is before it has been looked at
  std::uint64_t bytes = 0;     // in extents that have not
};
struct WalkRecord {
  std::uint64_t cookie = 0;  // entries up to it are done
};
struct TwinRecord {
  ChunkId chunk;
};
struct ServerRecord {
  std::string identity;
  std::string address;
  std::string local_socket;
  std::string machine;
  std::map<std::string, std::string> labels;
  std::uint64_t capacity = 0;
  bool draining = false;  // its memberships move to others
};
struct SessionRecord {
  Epoch epoch;
  std::string program;
  std::string host;
  std::string place;
  std::uint64_t process = 0;
  WallNanos since = 0;
  Sequence answered_through;
  bool wants_leases = false;  // and may have some
};
// A response kept for a repeat: bytes that the door understands.
struct ReplyRecord {
  std::string bytes;
};
struct ClusterRecord {
  std::string cluster;
  std::uint32_t format = 0;
  InodeId next_inode;
  ServerId next_server;
  GroupId next_group;
  SessionId next_session;
  std::uint32_t replicas = 0;    // default policy
  std::uint32_t chunk_size = 0;
  std::uint64_t group_table_version = 0;
  std::uint64_t inodes = 0;
  std::uint64_t chunks = 0;
  std::uint64_t chunk_bytes = 0;
  std::uint64_t generation = 0;
  std::uint64_t starts = 0;  // how often a server has begun to serve it
  std::uint64_t missing = 0;        // copies that servers lack (rows M)
  std::uint64_t missing_bytes = 0;
  std::uint64_t garbage = 0;        // chunks to be deleted (rows G)
  // Of metadata that was made anew, out of a backup or of what storage servers
  // have: when (0: it was not), and of which moment it is (0: of none).
  WallNanos restored = 0;
  WallNanos restored_state = 0;
  // Until then, chunks that nothing names may be the only copy of what is newer.
  WallNanos keep_unknown_until = 0;
  std::uint64_t walks = 0;             // directories (rows W)
  std::uint64_t conversions = 0;       // files (rows V)
  std::uint64_t conversion_bytes = 0;
};

void encode(const InodeRecord& record, std::string& out);
void encode(const DirentRecord& record, std::string& out);
void encode(const ListingRecord& record, std::string& out);
void encode(const ExtentRecord& record, std::string& out);
void encode(const XattrRecord& record, std::string& out);
void encode(const ChunkRecord& record, std::string& out);
void encode(const GarbageRecord& record, std::string& out);
void encode(const OrphanRecord& record, std::string& out);
void encode(const GroupRecord& record, std::string& out);
void encode(const MissingRecord& record, std::string& out);
void encode(const ConversionRecord& record, std::string& out);
void encode(const WalkRecord& record, std::string& out);
void encode(const TwinRecord& record, std::string& out);
void encode(const ServerRecord& record, std::string& out);
void encode(const SessionRecord& record, std::string& out);
void encode(const ReplyRecord& record, std::string& out);
void encode(const ClusterRecord& record, std::string& out);

bool decode(std::string_view bytes, InodeRecord& record);
bool decode(std::string_view bytes, DirentRecord& record);
bool decode(std::string_view bytes, ListingRecord& record);
bool decode(std::string_view bytes, ExtentRecord& record);
bool decode(std::string_view bytes, XattrRecord& record);
bool decode(std::string_view bytes, ChunkRecord& record);
bool decode(std::string_view bytes, GarbageRecord& record);
bool decode(std::string_view bytes, OrphanRecord& record);
bool decode(std::string_view bytes, GroupRecord& record);
bool decode(std::string_view bytes, MissingRecord& record);
bool decode(std::string_view bytes, ConversionRecord& record);
bool decode(std::string_view bytes, WalkRecord& record);
bool decode(std::string_view bytes, TwinRecord& record);
bool decode(std::string_view bytes, ServerRecord& record);
bool decode(std::string_view bytes, SessionRecord& record);
bool decode(std::string_view bytes, ReplyRecord& record);
bool decode(std::string_view bytes, ClusterRecord& record);

}  // namespace dfs
