// Access control lists as the attributes that hold them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

namespace dfs {

struct AclEntry {
  std::uint16_t tag = 0;
  std::uint16_t permissions = 0;
  std::uint32_t id = 0xffffffff;
};

inline constexpr AclEntry owner(std::uint16_t permissions) { return {0x01, permissions}; }
inline constexpr AclEntry user(std::uint32_t id, std::uint16_t permissions) {
  return {0x02, permissions, id};
}
inline constexpr AclEntry owning_group(std::uint16_t permissions) { return {0x04, permissions}; }
inline constexpr AclEntry group(std::uint32_t id, std::uint16_t permissions) {
  return {0x08, permissions, id};
}
inline constexpr AclEntry mask(std::uint16_t permissions) { return {0x10, permissions}; }
inline constexpr AclEntry others(std::uint16_t permissions) { return {0x20, permissions}; }

inline std::string acl(std::initializer_list<AclEntry> entries, std::uint32_t version = 2) {
  std::string value;
  const auto append = [&value](std::uint32_t number, int bytes) {
    for (int byte = 0; byte < bytes; ++byte) value += static_cast<char>(number >> (8 * byte));
  };
  append(version, 4);
  for (const AclEntry& entry : entries) {
    append(entry.tag, 2);
    append(entry.permissions, 2);
    append(entry.id, 4);
  }
  return value;
}

}  // namespace dfs
