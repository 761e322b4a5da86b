// Numbers with a meaning. Two kinds never convert into each other.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace dfs {

template <typename Tag, typename Rep = std::uint64_t>
class Strong {
 public:
  using Value = Rep;
  constexpr Strong() = default;
  constexpr explicit Strong(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(Strong, Strong) = default;

 private:
  Rep value_{};
};

using InodeId = Strong<struct InodeIdTag>;
using ServerId = Strong<struct ServerIdTag, std::uint32_t>;  // one per storage server, from 1
using GroupId = Strong<struct GroupIdTag, std::uint32_t>;    // 24 bits used, from 1
using SessionId = Strong<struct SessionIdTag>;               // from 1
using Sequence = Strong<struct SequenceTag>;                 // of a session's mutations, from 1
using Epoch = Strong<struct EpochTag>;                       // only grows
using FileOffset = Strong<struct FileOffsetTag>;             // bytes from the start of the file
using ChunkOffset = Strong<struct ChunkOffsetTag, std::uint32_t>;  // bytes from the start of one chunk

// A chunk's name: its replica group in the high 24 bits, a serial number that
// is unique within the group in the low 40. Serial 0 is never used.
class ChunkId {
 public:
  static constexpr unsigned kSerialBits = 40;
  static constexpr std::uint64_t kSerialMax = (std::uint64_t{1} << kSerialBits) - 1;

  constexpr ChunkId() = default;
  constexpr explicit ChunkId(std::uint64_t value) : value_(value) {}
  constexpr ChunkId(GroupId group, std::uint64_t serial)
      : value_(std::uint64_t{group.value()} << kSerialBits | (serial & kSerialMax)) {}

  constexpr std::uint64_t value() const { return value_; }
  constexpr GroupId group() const {
    return GroupId{static_cast<std::uint32_t>(value_ >> kSerialBits)};
  }
  constexpr std::uint64_t serial() const { return value_ & kSerialMax; }
  friend constexpr auto operator<=>(ChunkId, ChunkId) = default;

 private:
  std::uint64_t value_ = 0;
};

// The ids of a group lie in [first_chunk_of(group), end_of_group(group)).
constexpr ChunkId first_chunk_of(GroupId group) { return ChunkId{group, 0}; }
constexpr ChunkId end_of_group(GroupId group) { return ChunkId{GroupId{group.value() + 1}, 0}; }
constexpr ChunkId following(ChunkId chunk) { return ChunkId{chunk.value() + 1}; }

// "g3-00000000a1": how a chunk is written for people and in JSON.
std::string to_string(ChunkId chunk);

inline constexpr InodeId kRootInode{1};

inline constexpr std::uint64_t KiB = std::uint64_t{1} << 10;
inline constexpr std::uint64_t MiB = std::uint64_t{1} << 20;
inline constexpr std::uint64_t GiB = std::uint64_t{1} << 30;
inline constexpr std::uint64_t TiB = std::uint64_t{1} << 40;

inline constexpr std::uint32_t kChunkSizeDefault = 8 * MiB;
inline constexpr std::uint32_t kChunkSizeMax = 64 * MiB;
// One checksum covers this many bytes of a chunk (fewer at its end).
inline constexpr std::uint32_t kBlockSize = 64 * KiB;
// Linux limits that the servers enforce too.
inline constexpr std::size_t kNameMax = 255;
inline constexpr std::size_t kSymlinkMax = 4095;
inline constexpr std::size_t kXattrNameMax = 255;
inline constexpr std::size_t kXattrValueMax = 64 * KiB;
// The largest file: offsets stay below 2^63 so that they fit off_t.
inline constexpr std::uint64_t kFileSizeMax = (std::uint64_t{1} << 63) - 1;

}  // namespace dfs

template <typename Tag, typename Rep>
struct std::hash<dfs::Strong<Tag, Rep>> {
  std::size_t operator()(dfs::Strong<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};
template <>
struct std::hash<dfs::ChunkId> {
  std::size_t operator()(dfs::ChunkId id) const noexcept {
    return std::hash<std::uint64_t>{}(id.value());
  }
};
