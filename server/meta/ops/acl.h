// POSIX access control lists: what the extended attributes
// system.posix_acl_access and system.posix_acl_default hold, acl(5).
//
//   entries are in the order owner, users, owning group, groups, mask, others
//   owner, owning group and others are there once; the mask at most once, and
//   whenever a user or group is named
//
// The kernels of the clients enforce lists. Here is what keeps a list and a
// mode in step, and what new files inherit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace dfs::ops {

inline constexpr std::string_view kAccessAclName = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAclName = "system.posix_acl_default";
// The longest that Linux sends to a FUSE server and takes from one.
inline constexpr std::size_t kAclBytesMax = 4096;

class Acl {
 public:
  // From an attribute's value.
  //   too_big      over kAclBytesMax
  //   unsupported  another version of the form
  //   invalid      not such a list
  static Result<Acl> parse(std::string_view value);
  std::string to_value() const;

  // As stat(2) shows it: 0777. The mask stands for the group where there is one.
  std::uint32_t mode_bits() const;
  // Says no more than a mode can.
  bool is_minimal() const;
  // What chmod(2) does: owner, others, and the mask or the owning group.
  void set_mode_bits(std::uint32_t mode);
  // What creating a file with `mode` does to the list it inherits: it grants no
  // more than both.
  void restrict_to(std::uint32_t mode);

 private:
  struct Entry {
    std::uint16_t tag = 0;
    std::uint16_t permissions = 0;
    std::uint32_t id = 0;
  };

  Result<void> check() const;
  const Entry* find(std::uint16_t tag) const;
  Entry* find(std::uint16_t tag);
  // The entry that a mode's group bits mean.
  std::uint16_t group_class() const;

  std::vector<Entry> entries_;
};

}  // namespace dfs::ops
