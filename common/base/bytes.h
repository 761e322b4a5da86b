// Views of raw memory, and the little- and big-endian integers in it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace dfs {

static_assert(std::endian::native == std::endian::little, "formats are little-endian in memory");

using BufferView = std::span<const std::byte>;
using MutableBuffer = std::span<std::byte>;

inline BufferView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(BufferView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Reads or writes an integer at an address of any alignment, little-endian.
template <typename T>
T load_le(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <typename T>
void store_le(void* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

// Big-endian, so that keys sort as their numbers do.
inline void store_be64(void* to, std::uint64_t value) {
  value = __builtin_bswap64(value);
  std::memcpy(to, &value, sizeof value);
}
inline std::uint64_t load_be64(const void* from) {
  return __builtin_bswap64(load_le<std::uint64_t>(from));
}
inline void store_be32(void* to, std::uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(to, &value, sizeof value);
}
inline std::uint32_t load_be32(const void* from) {
  return __builtin_bswap32(load_le<std::uint32_t>(from));
}

}  // namespace dfs
