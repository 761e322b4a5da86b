#include "common/kv/kv_store.h"

#include <limits>

#include "common/base/bytes.h"

namespace dfs {
namespace {

// A change in the buffer: kind (1 byte), key length (4), value length (4),
// key, value. Only this process reads it.
constexpr std::size_t kKeyLengthAt = 1;
constexpr std::size_t kValueLengthAt = 5;
constexpr std::size_t kHeaderBytes = 9;

// More memory than this is given back by clear(): one huge batch does not
// stay for ever.
constexpr std::size_t kBytesKept = 1 << 20;

}  // namespace

void KvBatch::add(Change::Kind kind, std::string_view key, std::string_view value) {
  constexpr std::size_t kLengthMax = std::numeric_limits<std::uint32_t>::max();
  invariant(key.size() <= kLengthMax && value.size() <= kLengthMax, "a key or value is below 4 GiB");
  char header[kHeaderBytes];
  header[0] = static_cast<char>(kind);
  store_le(header + kKeyLengthAt, static_cast<std::uint32_t>(key.size()));
  store_le(header + kValueLengthAt, static_cast<std::uint32_t>(value.size()));
  bytes_.append(header, kHeaderBytes);
  bytes_.append(key);
  bytes_.append(value);
  ++count_;
}

void KvBatch::append(const KvBatch& other) {
  bytes_.append(other.bytes_);
  count_ += other.count_;
}

void KvBatch::clear() {
  if (bytes_.capacity() > kBytesKept) {
    bytes_ = {};
  } else {
    bytes_.clear();
  }
  count_ = 0;
}

KvBatch::Changes KvBatch::changes() const { return Changes(bytes_, count_); }

KvBatch::Change KvBatch::Iterator::operator*() const {
  const auto key_length = load_le<std::uint32_t>(at_ + kKeyLengthAt);
  const auto value_length = load_le<std::uint32_t>(at_ + kValueLengthAt);
  return {static_cast<Change::Kind>(*at_),
          {at_ + kHeaderBytes, key_length},
          {at_ + kHeaderBytes + key_length, value_length}};
}

KvBatch::Iterator& KvBatch::Iterator::operator++() {
  const Change change = **this;
  at_ = change.value.data() + change.value.size();
  return *this;
}

}  // namespace dfs
