#include "common/base/log_text.h"

#include <cstdint>
#include <iterator>

#include <fmt/format.h>

namespace dfs {
namespace {

constexpr unsigned char kDelete = 0x7f;

bool is_control(unsigned char byte) { return byte < 0x20 || byte == kDelete; }

// The length of the well-formed UTF-8 character at the start of `text`; 0 if
// there is none. Overlong forms, surrogates and what is above U+10FFFF are not.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  if (first == 0xe0 && second < 0xa0) return 0;
  if (first == 0xed && second > 0x9f) return 0;
  if (first == 0xf0 && second < 0x90) return 0;
  if (first == 0xf4 && second > 0x8f) return 0;
  return length;
}

}  // namespace

void append_one_line(std::string& line, std::string_view text) {
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '\n') {
      line.append("\\n");
    } else if (is_control(byte) && letter != '\t') {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", byte);
    } else {
      line.push_back(letter);
    }
  }
}

void append_json_text(std::string& line, std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      line.append("\\ufffd");
      text.remove_prefix(1);
      continue;
    }
    const auto first = static_cast<unsigned char>(text.front());
    if (first == '"' || first == '\\') {
      line.push_back('\\');
      line.push_back(text.front());
    } else if (is_control(first)) {
      fmt::format_to(std::back_inserter(line), "\\u{:04x}", first);
    } else {
      line.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
}

}  // namespace dfs
