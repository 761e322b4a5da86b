// Access control lists as setfacl(1), or anybody, sets them.
//
// Input: hexadecimal digits are the attribute's bytes, what is none is passed
// over; the first three octal digits of a first line are a mode.
#include "server/meta/ops/acl.h"

#include <cctype>
#include <string>

#include "tests/fuzz/input.h"

namespace dfs::fuzz {
namespace {

std::string from_hex(std::string_view text) {
  std::string bytes;
  int half = -1;
  for (const char c : text) {
    if (!std::isxdigit(static_cast<unsigned char>(c))) continue;
    const int digit = std::isdigit(static_cast<unsigned char>(c)) ? c - '0' : std::tolower(c) - 'a' + 10;
    if (half < 0) {
      half = digit;
    } else {
      bytes += static_cast<char>(half << 4 | digit);
      half = -1;
    }
  }
  return bytes;
}

void run(std::string_view input) {
  const auto mode = static_cast<std::uint32_t>(Words(take_line(input)).number(0777));
  const std::string value = from_hex(input);
  auto acl = ops::Acl::parse(value);
  if (!acl) return;
  invariant(acl->to_value() == value, "a list survives");
  invariant(acl->mode_bits() <= 0777, "a list's mode is one");

  const std::uint32_t before = acl->mode_bits();
  acl->restrict_to(mode);
  invariant(acl->mode_bits() == (before & mode), "what is inherited grants no more than both");
  acl->set_mode_bits(mode);
  invariant(acl->mode_bits() == mode, "chmod is seen");
  invariant(ops::Acl::parse(acl->to_value()).has_value(), "a changed list is a list");
}

}  // namespace
}  // namespace dfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dfs::fuzz::run(dfs::fuzz::text_of(data, size));
  return 0;
}
