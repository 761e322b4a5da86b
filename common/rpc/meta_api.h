// The metadata operations as C++ values: what a client asks, what it gets.
// Used by both ends; the wire form is proto/dfs/v1/meta.proto, whose comments
// give the meaning of each field. Conversion: convert.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/rpc/types.h"

namespace dfs {

class RunningOperation;

// --- names -------------------------------------------------------------------

struct LookupArgs {
  InodeId parent;
  std::string name;
  bool may_be_absent = false;  // then a name that is not there is no error
};
struct EntryResult {
  Attributes attributes;  // of no meaning if `absent`
  std::optional<Attributes> parent;
  bool absent = false;
  LeaseKind parent_lease = LeaseKind::none;  // lookup: on the directory
  std::uint64_t parent_lease_order = 0;      // as Attributes::lease_order
};
struct CreateArgs {
  InodeId parent;
  std::string name;
  FileType type = FileType::regular;
  std::uint32_t mode = 0;
  std::uint64_t rdev = 0;
  bool exclusive = false;
  bool open = false;  // answered by OpenResult, else by EntryResult
  bool truncate = false;
  std::uint32_t umask = 0;  // taken from `mode`, unless a default ACL decides
  bool unnamed = false;     // with `open`; `name` is empty
};
struct SymlinkArgs {
  InodeId parent;
  std::string name;
  std::string target;
};
struct ReadlinkArgs {
  InodeId inode;
};
struct ReadlinkResult {
  std::string target;
};
struct LinkArgs {
  InodeId inode;
  InodeId new_parent;
  std::string new_name;
};
struct UnlinkArgs {
  InodeId parent;
  std::string name;
  bool directory = false;
  bool keep = false;  // it may be open here although the server was not told
};
struct RenameArgs {
  InodeId parent;
  std::string name;
  InodeId new_parent;
  std::string new_name;
  bool no_replace = false;
  bool exchange = false;
  bool keep = false;  // of what is replaced, as in UnlinkArgs
};
struct RemovedResult {
  std::optional<Attributes> removed;
  std::optional<Attributes> moved;
  Attributes parent;
  std::optional<Attributes> new_parent;
};
struct ReadDirArgs {
  InodeId inode;
  std::uint64_t cookie = 0;
  std::uint32_t entries_max = 1024;
};
struct ReadDirResult {
  std::vector<Entry> entries;
  bool end = false;
  InodeId parent;
  LeaseKind lease = LeaseKind::none;  // on the directory
  std::uint64_t lease_order = 0;      // as Attributes::lease_order
};

// --- attributes ----------------------------------------------------------------

struct GetAttrArgs {
  InodeId inode;
};
struct AttributesResult {
  Attributes attributes;
};
struct SetAttrArgs {
  InodeId inode;
  std::optional<std::uint32_t> mode;
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
  std::optional<std::uint64_t> size;
  std::optional<WallNanos> atime;
  std::optional<WallNanos> mtime;
  std::optional<WallNanos> ctime;
  bool atime_now = false;
  bool mtime_now = false;
  bool clear_set_id = false;
};
// Takes the place of `seen`, if that still stands.
struct AccessTime {
  InodeId inode;
  WallNanos seen = 0;
  WallNanos accessed = 0;

  friend bool operator==(const AccessTime&, const AccessTime&) = default;
};
struct TouchArgs {
  std::vector<AccessTime> times;
};
struct SetXattrArgs {
  InodeId inode;
  std::string name;
  std::string value;
  bool create_only = false;
  bool replace_only = false;
  bool clear_set_gid = false;
};
struct GetXattrArgs {
  InodeId inode;
  std::string name;
};
struct ListXattrArgs {
  InodeId inode;
};
struct RemoveXattrArgs {
  InodeId inode;
  std::string name;
};
struct XattrResult {
  std::string value;
  std::vector<std::string> names;
};
struct StatFsArgs {};
struct StatFsResult {
  std::uint64_t bytes_total = 0;
  std::uint64_t bytes_available = 0;
  std::uint64_t inodes_used = 0;
};

// --- contents --------------------------------------------------------------------

struct OpenArgs {
  InodeId inode;
  bool truncate = false;
  bool write = false;  // a write lease is wanted, if nobody has to give one up for it
};
struct OpenResult {
  Attributes attributes;
  std::vector<Extent> extents;
  bool extents_complete = false;
  std::optional<Attributes> parent;
  bool created = false;
};
struct ReleaseArgs {
  InodeId inode;
  std::uint32_t count = 1;
};
struct GetExtentsArgs {
  InodeId inode;
  std::uint64_t offset = 0;
  std::uint32_t extents_max = 1024;
};
struct ExtentsResult {
  std::vector<Extent> extents;
  bool complete = false;
  std::uint64_t data_change = 0;
};
struct FileRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;

  friend bool operator==(const FileRange&, const FileRange&) = default;
};
struct CommitFile {
  InodeId inode;
  std::vector<Extent> extents;
  std::vector<FileRange> holes;
  std::uint64_t size_at_least = 0;
  std::optional<WallNanos> mtime;
  bool clear_set_id = false;
  std::optional<std::uint64_t> only_if;  // else `stale_epoch`: the data_change it must have
};
struct ChunkPlacement {
  ChunkId chunk;
  std::uint32_t length = 0;
  std::vector<ServerId> missing_on;
};
struct CommitArgs {
  std::vector<CommitFile> files;
  bool sync = false;
  std::vector<ChunkPlacement> placements;
  // What `files` say is so under this session. Under another one the commit fails with
  // `session_lost` and has not happened; 0: under any. It is not sent.
  SessionId session;
};
// After the commit, one per file that still exists, in the order of `files`.
struct CommitResult {
  std::vector<Attributes> attributes;
};
struct CloneArgs {
  InodeId source;
  std::uint64_t source_offset = 0;
  InodeId inode;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  WallNanos mtime = 0;
  bool clear_set_id = false;
};
struct CloneResult {
  Attributes attributes;
  std::uint64_t length = 0;
};
struct AllocateArgs {
  InodeId inode;
  std::uint32_t count = 1;
  std::vector<ServerId> avoid;
};
struct AllocateResult {
  std::vector<ChunkRange> ranges;
};
struct SyncArgs {};
// What a session would lose if its process and what outlives that were gone now.
struct UnsentBytes {
  std::uint64_t bytes = 0;
  std::uint64_t oldest_ms = 0;  // ago it was written
  friend bool operator==(const UnsentBytes&, const UnsentBytes&) = default;
};
struct KeepAliveArgs {
  UnsentBytes unsent;
};
struct ReportArgs {
  ChunkId chunk;
  ServerId server;
  Error problem;
};
// How new data is kept. Empty: as it is; 0: inherited from the directory above.
struct SetPolicyArgs {
  InodeId inode;
  std::optional<std::uint32_t> replicas;
  std::optional<std::uint32_t> chunk_size;
};
struct GetPolicyArgs {
  InodeId inode;
};
struct PolicyResult {
  std::uint32_t replicas = 0;  // what holds
  std::uint32_t chunk_size = 0;
  std::uint32_t own_replicas = 0;  // what the inode itself says; 0: it inherits
  std::uint32_t own_chunk_size = 0;
};
struct EmptyResult {};

// --- locks ---------------------------------------------------------------------------

struct SetLockArgs {
  InodeId inode;
  FileLock lock;
  bool wait = false;
  std::uint64_t ticket = 0;
};
struct GetLockArgs {
  InodeId inode;
  FileLock lock;
};
struct LockResult {
  std::optional<FileLock> lock;  // one in the way
  SessionId session;             // whose it is
};
struct CancelLockArgs {
  std::uint64_t ticket = 0;
};

// --- leases --------------------------------------------------------------------------

// Answered by AttributesResult, whose lease may be less than was asked for.
struct AcquireLeaseArgs {
  InodeId inode;
  LeaseKind kind = LeaseKind::read;  // or write
};
struct ReturnedLease {
  InodeId inode;
  LeaseKind keep = LeaseKind::none;  // or read
  std::uint64_t order = 0;  // of the recall, or, if nobody asked, of the grant
  std::uint32_t holds = 0;  // opened without a word; held by the session from now on

  friend bool operator==(const ReturnedLease&, const ReturnedLease&) = default;
};
struct ReturnLeasesArgs {
  std::vector<ReturnedLease> leases;
  bool all_forgotten = false;  // what a former process was told and this one knows nothing of
};
struct HoldArgs {
  InodeId inode;
  std::uint32_t count = 1;
};

// --- for people ----------------------------------------------------------------------

struct ClusterStatusArgs {};
// Answered by EmptyResult.
struct DrainServerArgs {
  ServerId server;
  bool drain = true;
};
struct SessionStatus {
  SessionId session;
  std::string program;
  std::string host;
  std::string place;
  std::uint64_t process = 0;
  std::uint64_t open_inodes = 0;
  WallNanos since = 0;
  bool connected = false;
  std::uint64_t leases = 0;
  UnsentBytes unsent;  // when it was last heard of
};
struct Eviction {
  SessionId session;
  std::string program;
  std::string host;
  std::string place;
  WallNanos when = 0;
  std::string why;
};
struct ServerCondition {
  ServerId server;
  std::string state;               // alive, down, out, draining, drained
  std::uint64_t groups_to_compare = 0;
  std::vector<std::string> problems = {};  // failing disks and the like, as it tells them
};
// How far the chunks of files are kept in as many copies as the files are to be.
struct ConversionStatus {
  std::uint64_t directories = 0;        // to be looked through; those below not counted yet
  std::uint64_t files = 0;              // to be converted, as far as they are known
  std::uint64_t bytes = 0;              // in them
  std::uint64_t bytes_per_second = 0;   // lately
  std::optional<std::uint64_t> seconds_left;  // for what is known
};
// How far the copies of chunks are what they should be.
struct RepairStatus {
  std::uint64_t missing_bytes = 0;
  std::uint64_t copied_chunks = 0;      // since the metadata server began
  std::uint64_t copied_bytes = 0;
  std::uint64_t bytes_per_second = 0;   // lately
  std::optional<std::uint64_t> seconds_left;  // of what is known to be missing
  std::uint64_t moving = 0;             // memberships
  std::uint64_t lost_chunks = 0;
  std::vector<ChunkId> lost;            // the first of them
  std::vector<ServerCondition> servers;
  std::vector<std::string> notes;       // sentences for people
  ConversionStatus conversion;
  std::uint64_t balancing = 0;          // of `moving`: to even out how full servers are
};
struct ClusterStatusResult {
  std::string cluster;
  std::string version;
  WallNanos started = 0;
  GroupTable group_table;
  std::vector<SessionStatus> sessions;
  std::uint64_t inodes = 0;
  std::uint64_t chunk_bytes = 0;
  std::uint64_t chunks = 0;
  std::uint64_t garbage_chunks = 0;
  std::uint64_t repair_queue = 0;
  std::uint32_t replicas = 0;
  std::uint32_t chunk_size = 0;
  std::vector<Eviction> evictions;  // the latest, oldest first
  std::uint64_t contended_inodes = 0;
  RepairStatus repair;
};

using MetaArgs =
    std::variant<LookupArgs, GetAttrArgs, SetAttrArgs, CreateArgs, SymlinkArgs, ReadlinkArgs,
                 LinkArgs, UnlinkArgs, RenameArgs, ReadDirArgs, StatFsArgs, SetXattrArgs,
                 GetXattrArgs, ListXattrArgs, RemoveXattrArgs, OpenArgs, ReleaseArgs,
                 GetExtentsArgs, CommitArgs, AllocateArgs, SyncArgs, ClusterStatusArgs,
                 KeepAliveArgs, ReportArgs, SetPolicyArgs, GetPolicyArgs,
                 CloneArgs, SetLockArgs, GetLockArgs, CancelLockArgs, TouchArgs,
                 AcquireLeaseArgs, ReturnLeasesArgs, HoldArgs, DrainServerArgs>;
using MetaResult =
    std::variant<EmptyResult, EntryResult, AttributesResult, ReadlinkResult, RemovedResult,
                 ReadDirResult, StatFsResult, XattrResult, OpenResult, ExtentsResult,
                 AllocateResult, ClusterStatusResult, CommitResult, PolicyResult, CloneResult,
                 LockResult>;

// Who asks, as the kernel of the client's machine sees it.
struct Caller {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  // What the request is a part of, if whoever waits for that asks again after this
  // process was killed (operation_table.h). Looked at while the call is made.
  RunningOperation* operation = nullptr;
};

// What a mutation is about, whatever another run of the same operation would say
// otherwise.
std::uint64_t identity_of(const MetaArgs& args);

// True for what changes the namespace: it gets a sequence number and happens
// exactly once. (Release, report, touch and keep-alive do not; open does when it truncates.)
bool is_mutation(const MetaArgs& args);

// Calls `visit(Attributes&)` for each inode that the result tells of.
template <typename Visit>
void for_each_attributes(MetaResult& result, const Visit& visit) {
  const auto optional = [&](std::optional<Attributes>& attributes) {
    if (attributes) visit(*attributes);
  };
  if (auto* named = std::get_if<EntryResult>(&result)) {
    if (!named->absent) visit(named->attributes);
    optional(named->parent);
  } else if (auto* told = std::get_if<AttributesResult>(&result)) {
    visit(told->attributes);
  } else if (auto* removed = std::get_if<RemovedResult>(&result)) {
    optional(removed->removed);
    optional(removed->moved);
    visit(removed->parent);
    optional(removed->new_parent);
  } else if (auto* listed = std::get_if<ReadDirResult>(&result)) {
    for (Entry& entry : listed->entries) visit(entry.attributes);
  } else if (auto* opened = std::get_if<OpenResult>(&result)) {
    visit(opened->attributes);
    optional(opened->parent);
  } else if (auto* committed = std::get_if<CommitResult>(&result)) {
    for (Attributes& attributes : committed->attributes) visit(attributes);
  } else if (auto* cloned = std::get_if<CloneResult>(&result)) {
    visit(cloned->attributes);
  }
}

}  // namespace dfs
