#include "common/base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <vector>

#include "common/base/result.h"

namespace dfs {

void fill_random(MutableBuffer buffer) {
  while (!buffer.empty()) {
    const ssize_t got = ::getrandom(buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    invariant(got > 0, "the kernel gives random bytes");
    buffer = buffer.subspan(static_cast<std::size_t>(got));
  }
}

std::uint64_t random_number() {
  std::uint64_t number = 0;
  fill_random(std::as_writable_bytes(std::span(&number, 1)));
  return number;
}

std::string random_hex(std::size_t byte_count) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::vector<std::byte> bytes(byte_count);
  fill_random(bytes);
  std::string text;
  text.reserve(2 * byte_count);
  for (const std::byte byte : bytes) {
    text.push_back(kDigits[std::to_integer<unsigned>(byte) >> 4]);
    text.push_back(kDigits[std::to_integer<unsigned>(byte) & 15]);
  }
  return text;
}

}  // namespace dfs
