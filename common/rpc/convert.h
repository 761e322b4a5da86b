// Between the values of types.h and meta_api.h and their protobuf form.
// Protobuf types go no further than this, the doors and the store's records.
//
// from_proto() believes nothing: a value out of range, a bad name, a list over
// its limit (protocol.h), an extent that overflows or a field that must be
// there and is not gives `bad_message` with a sentence that names it. What it
// returns is safe to compute with; whether it makes sense for the file system
// (does the inode exist?) is for the operations to say.
//
// Names are 1 to 255 bytes without '/' and NUL; a longer one gives
// `name_too_long`, as the kernel would. Only lookup may ask for "." and "..".
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "common/rpc/meta_api.h"
#include "common/rpc/types.h"
#include "dfs/v1/error.pb.h"
#include "dfs/v1/meta.pb.h"
#include "dfs/v1/types.pb.h"

namespace dfs {

// --- requests and responses ---------------------------------------------------

// Sets the operation alone; id, sequence, uid and gid are the caller's.
void to_proto(const MetaArgs& args, v1::Request& request);
// Moves strings out of `request`.
Result<MetaArgs> from_proto(v1::Request&& request);

// Sets the result or the error; the id and the lease order are the caller's.
void to_proto(const Result<MetaResult>& result, v1::Response& response);
// The error the server answered, or `bad_message`. Moves strings out of `response`.
// What a lease came with has the response's lease order.
Result<MetaResult> from_proto(v1::Response&& response);

// --- parts ------------------------------------------------------------------------

void to_proto(const Error& error, v1::Error& message);
// An unknown code becomes `internal`, keeping the text.
Error from_proto(const v1::Error& message);

void to_proto(const Attributes& attributes, v1::Attributes& message);
Result<Attributes> from_proto(const v1::Attributes& message);

void to_proto(const Extent& extent, v1::Extent& message);
Result<Extent> from_proto(const v1::Extent& message);

void to_proto(const Entry& entry, v1::Entry& message);
Result<Entry> from_proto(v1::Entry&& message);

void to_proto(const ChunkRange& range, v1::ChunkRange& message);
Result<ChunkRange> from_proto(const v1::ChunkRange& message);

void to_proto(const GroupTable& table, v1::GroupTable& message);
Result<GroupTable> from_proto(const v1::GroupTable& message);

void to_proto(const FileLock& lock, v1::FileLock& message);
Result<FileLock> from_proto(const v1::FileLock& message);
void to_proto(const HeldLock& held, v1::HeldLock& message);
Result<HeldLock> from_proto(const v1::HeldLock& message);

void to_proto(const SessionEstate& estate, v1::Estate& message);
Result<SessionEstate> from_proto(const v1::Estate& message);

v1::LeaseKind to_proto(LeaseKind kind);
Result<LeaseKind> from_proto(v1::LeaseKind kind);
void to_proto(const LeaseRecall& recall, v1::LeaseRecall& message);
Result<LeaseRecall> from_proto(const v1::LeaseRecall& message);

v1::FileType to_proto(FileType type);
Result<FileType> from_proto(v1::FileType type);
v1::MemberState to_proto(MemberState state);
Result<MemberState> from_proto(v1::MemberState state);

// A name as it may appear in a directory: `name_too_long`, or `bad_message`.
Result<void> check_name(const std::string& name);

}  // namespace dfs
