// Every operation on the namespace and on contents, one function each.
// execute() (operation.h) dispatches to them; they neither begin nor undo the
// operation in the transaction, so on an error what they changed must be
// undone by the caller.
//
// Permissions are the kernel's to check (the mounts use default_permissions);
// only set_policy and the attribute "dfs.consistency", which no kernel knows,
// check their caller here.
//
// Errors of all: `stale` when an inode in the arguments is gone, `io` and
// `corrupt` from the store. Of all that take a new name: `invalid` (empty, or
// with '/' or NUL), `name_too_long` (over kNameMax bytes), `not_directory`
// (the parent is none), `not_found` (the parent has been removed). Of all that
// add rows - create, symlink, link, set_xattr, a commit or clone with extents -
// `no_space` when context.room says so.
#pragma once

#include "server/meta/ops/operation.h"

namespace dfs::ops {

// "." is the directory itself, ".." its parent.
//   not_found  there is no such name, and args.may_be_absent is not set
Result<EntryResult> lookup(Transaction& txn, const OperationContext& context,
                           const LookupArgs& args);

// Answers with OpenResult if args.open, else with EntryResult. A regular file
// that exists and may exist is opened as it is (and truncated if asked).
//   exists          exclusive, or something else than a regular file has the name
//   is_directory    a directory has it
// args.unnamed makes a regular file without a name, an orphan from the start;
// the parent, from which it has policy, group and lists, does not change.
//   too_many_links  the parent cannot have another subdirectory
//   invalid         a type that create() does not make, `open` of a special
//                   file, `unnamed` of what is not opened
Result<MetaResult> create(Transaction& txn, const OperationContext& context,
                          const CreateArgs& args);

//   exists, not_found (empty target), name_too_long (target over kSymlinkMax)
Result<EntryResult> symlink(Transaction& txn, const OperationContext& context,
                            const SymlinkArgs& args);
//   invalid  not a symlink
Result<ReadlinkResult> readlink(Transaction& txn, const OperationContext& context,
                                const ReadlinkArgs& args);

// What is held and never had a name gets its first: it is no orphan any more.
//   exists, not_permitted (a directory), not_found (it has lost its last name),
//   too_many_links
Result<EntryResult> link(Transaction& txn, const OperationContext& context, const LinkArgs& args);

// unlink, or rmdir if args.directory. What nobody holds is gone at once.
//   not_found, is_directory, not_directory, not_empty, invalid (".")
Result<RemovedResult> unlink(Transaction& txn, const OperationContext& context,
                             const UnlinkArgs& args);

//   not_found      the source, or with exchange the target
//   exists         no_replace
//   is_directory, not_directory, not_empty   the target cannot be replaced
//   invalid        a directory into itself or below; no_replace and exchange
//   busy           "." or ".."
//   too_many_links
Result<RemovedResult> rename(Transaction& txn, const OperationContext& context,
                             const RenameArgs& args);

// One page in the order of creation, which stays while names come and go: a
// name that is there throughout is listed once. Cookies of entries are above 2.
//   not_directory
Result<ReadDirResult> read_dir(Transaction& txn, const OperationContext& context,
                               const ReadDirArgs& args);

Result<AttributesResult> get_attr(Transaction& txn, const OperationContext& context,
                                  const GetAttrArgs& args);

//   is_directory, invalid  size of what is no regular file
//   file_too_big           size over kFileSizeMax
Result<AttributesResult> set_attr(Transaction& txn, const OperationContext& context,
                                  const SetAttrArgs& args);

// Access times that readers moved. Inodes that are gone, and those whose access
// time is not the one that was seen any more, are left alone; all are while there is no room.
Result<EmptyResult> touch(Transaction& txn, const OperationContext& context,
                          const TouchArgs& args);

//   range    name empty or over kXattrNameMax
//   invalid  NUL in the name
//   too_big  value over kXattrValueMax
//   exists, no_data   create_only, replace_only
//   no_space          over kXattrsMax attributes
//   unsupported       a name under "system." that is none of a list, or under "dfs."
// "dfs.consistency" is the inode's own: always there, never listed or counted,
// `strict` again when it is removed; a new inode has its parent's.
//   not_permitted     neither root nor the owner
//   invalid           not strict, close-to-open or relaxed
// An access control list (inode_acl.h) also: invalid, unsupported, too_big, access.
Result<AttributesResult> set_xattr(Transaction& txn, const OperationContext& context,
                                   const SetXattrArgs& args);
//   no_data, range
Result<XattrResult> get_xattr(Transaction& txn, const OperationContext& context,
                              const GetXattrArgs& args);
Result<XattrResult> list_xattr(Transaction& txn, const OperationContext& context,
                               const ListXattrArgs& args);
//   no_data, range
Result<AttributesResult> remove_xattr(Transaction& txn, const OperationContext& context,
                                      const RemoveXattrArgs& args);

// The attributes and the first extents. Registering who holds it is the core's.
//   is_directory, invalid  truncate of what is no regular file
Result<OpenResult> open(Transaction& txn, const OperationContext& context, const OpenArgs& args);

Result<ExtentsResult> get_extents(Transaction& txn, const OperationContext& context,
                                  const GetExtentsArgs& args);

// Files that are gone are skipped; the chunks meant for them become garbage.
//   invalid       a file that is not regular; an extent that is empty, leaves
//                 kFileSizeMax or kChunkSizeMax or names a chunk of no known
//                 group; more than kExtentsPerCommitMax extents
//   file_too_big  size_at_least over kFileSizeMax
//   stale         a chunk that has become garbage already
//   stale_epoch   only_if: the file is not as it was
Result<CommitResult> commit(Transaction& txn, const OperationContext& context,
                            const CommitArgs& args);

// The extents of the source's range, cut at its end, take the place of what
// the target has at args.offset; both files then name the same chunks. At most
// kExtentsPerCloneMax extents are laid and as many replaced: if there are more
// the result is shorter than asked.
//   is_directory, invalid  not two regular files, or ranges that overlap in one
//   file_too_big  the target's range ends over kFileSizeMax
//   unsupported   the files are kept in different numbers of copies, or a chunk
//                 is named as often as can be counted: the bytes must be copied
Result<CloneResult> clone(Transaction& txn, const OperationContext& context,
                          const CloneArgs& args);

//   not_permitted  neither root nor the owner
//   invalid        not a file or directory; replicas over kReplicasMax; a chunk
//                  size that is no multiple of kBlockSize or over kChunkSizeMax
Result<AttributesResult> set_policy(Transaction& txn, const OperationContext& context,
                                    const SetPolicyArgs& args);
Result<PolicyResult> get_policy(Transaction& txn, const OperationContext& context,
                                const GetPolicyArgs& args);

// Hard links of one inode.
inline constexpr std::uint32_t kLinkMax = 1'000'000;
// With their names at their longest, the list still fits what listxattr(2)
// can return (64 KiB).
inline constexpr std::uint32_t kXattrsMax = 256;
inline constexpr std::uint32_t kReplicasMax = 16;
// Extents that come with the answer to an open.
inline constexpr std::uint32_t kExtentsPerOpen = 1024;
// Far more than a file written in one go has; few enough to leave the core
// soon.
inline constexpr std::size_t kExtentsPerCloneMax = 2048;
// 1 and 2 are left for "." and "..", which are not kept.
inline constexpr std::uint64_t kFirstCookie = 3;

}  // namespace dfs::ops
