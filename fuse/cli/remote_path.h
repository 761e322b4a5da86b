// From a path to an inode, as open(2) would walk it.
//
// Paths start at the root of the file system, with or without a leading '/';
// so do absolute links inside it.
// Threads: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/client/file_system.h"

namespace dfs::cli {

enum class LastLink { follow, keep };

// What `path` names.
//   not_found, not_directory, loop, name_too_long  as for open(2), with the
//   path in the text
Result<Attributes> resolve(FileSystem& files, const CallContext& context, std::string_view path,
                           LastLink last_link);

struct Place {
  Attributes parent;  // a directory
  std::string name;   // in it; there or not
};
// Where `path` is or would be. `invalid` for the root and for "." and "..".
Result<Place> resolve_place(FileSystem& files, const CallContext& context, std::string_view path);

// "a//b/" -> {"a", "b"}; `name_too_long` beyond Linux' limits.
Result<std::vector<std::string>> split_path(std::string_view path);
// "/a" + "b" -> "/a/b"
std::string join_path(std::string_view directory, std::string_view name);

// Same error, with "PATH: " before its text.
Error about(std::string_view path, Error error);

// Calls `visit` for every entry of a directory, a page at a time. Entries may
// be removed meanwhile. Ends with the first error of `visit`.
using VisitEntry = std::function<Result<void>(const Entry&)>;
Result<void> for_each_entry(FileSystem& files, const CallContext& context, InodeId directory,
                            const VisitEntry& visit);

}  // namespace dfs::cli
