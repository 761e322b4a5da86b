#include "server/meta/ops/acl.h"

#include <algorithm>
#include <utility>

namespace dfs::ops {
namespace {

// The form of the attribute, little-endian: a version, and for each entry its
// tag and permissions (16 bits each) and an id (32 bits).
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kHeaderBytes = 4;
constexpr std::size_t kEntryBytes = 8;

constexpr std::uint16_t kOwner = 0x01;
constexpr std::uint16_t kUser = 0x02;
constexpr std::uint16_t kOwningGroup = 0x04;
constexpr std::uint16_t kGroup = 0x08;
constexpr std::uint16_t kMask = 0x10;
constexpr std::uint16_t kOthers = 0x20;

constexpr std::uint16_t kEverything = 07;
constexpr std::uint32_t kNobody = 0xffffffff;

template <typename Number>
Number number_at(std::string_view bytes, std::size_t at) {
  Number number = 0;
  for (std::size_t index = sizeof(Number); index > 0; --index)
    number = static_cast<Number>(number << 8 | static_cast<unsigned char>(bytes[at + index - 1]));
  return number;
}

template <typename Number>
void append(std::string& bytes, Number number) {
  for (std::size_t index = 0; index < sizeof(Number); ++index)
    bytes += static_cast<char>(number >> (8 * index) & 0xff);
}

bool is_named(std::uint16_t tag) { return tag == kUser || tag == kGroup; }

}  // namespace

Result<Acl> Acl::parse(std::string_view value) {
  if (value.size() > kAclBytesMax) return fail(Errc::too_big);
  if (value.size() < kHeaderBytes || (value.size() - kHeaderBytes) % kEntryBytes != 0)
    return fail(Errc::invalid, "the length of an access control list is wrong");
  if (number_at<std::uint32_t>(value, 0) != kVersion)
    return fail(Errc::unsupported, "an access control list of an unknown version");
  Acl acl;
  for (std::size_t at = kHeaderBytes; at < value.size(); at += kEntryBytes)
    acl.entries_.push_back({number_at<std::uint16_t>(value, at),
                            number_at<std::uint16_t>(value, at + 2),
                            number_at<std::uint32_t>(value, at + 4)});
  TRY(acl.check());
  return acl;
}

Result<void> Acl::check() const {
  const auto count = [this](std::uint16_t tag) {
    return std::count_if(entries_.begin(), entries_.end(),
                         [tag](const Entry& entry) { return entry.tag == tag; });
  };
  // Tags are numbered in the order that entries must have.
  const auto in_order = [](const Entry& a, const Entry& b) { return a.tag < b.tag; };
  const bool named = count(kUser) + count(kGroup) > 0;
  const auto masks = count(kMask);
  bool valid = std::is_sorted(entries_.begin(), entries_.end(), in_order) &&
               count(kOwner) == 1 && count(kOwningGroup) == 1 && count(kOthers) == 1 &&
               (masks == 1 || (masks == 0 && !named)) &&
               count(kUser) + count(kGroup) + masks + 3 == std::ssize(entries_);
  for (const Entry& entry : entries_)
    valid = valid && entry.permissions <= kEverything && !(is_named(entry.tag) && entry.id == kNobody);
  if (!valid) return fail(Errc::invalid, "no valid access control list");
  return {};
}

std::string Acl::to_value() const {
  std::string value;
  append(value, kVersion);
  for (const Entry& entry : entries_) {
    append(value, entry.tag);
    append(value, entry.permissions);
    append(value, entry.id);
  }
  return value;
}

std::uint32_t Acl::mode_bits() const {
  return static_cast<std::uint32_t>(find(kOwner)->permissions << 6 |
                                    find(group_class())->permissions << 3 |
                                    find(kOthers)->permissions);
}

bool Acl::is_minimal() const { return find(kMask) == nullptr; }

void Acl::set_mode_bits(std::uint32_t mode) {
  find(kOwner)->permissions = mode >> 6 & kEverything;
  find(group_class())->permissions = mode >> 3 & kEverything;
  find(kOthers)->permissions = mode & kEverything;
}

void Acl::restrict_to(std::uint32_t mode) { set_mode_bits(mode & mode_bits()); }

const Acl::Entry* Acl::find(std::uint16_t tag) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [tag](const Entry& entry) { return entry.tag == tag; });
  return found == entries_.end() ? nullptr : &*found;
}

Acl::Entry* Acl::find(std::uint16_t tag) {
  return const_cast<Entry*>(std::as_const(*this).find(tag));
}

std::uint16_t Acl::group_class() const { return is_minimal() ? kOwningGroup : kMask; }

}  // namespace dfs::ops
