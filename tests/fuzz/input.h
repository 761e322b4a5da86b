// What the targets share: reading the fuzzer's bytes, and saying that something
// does not hold.
//
// A target reads text where it can, so that a corpus is written and a crash is
// read by people: protobuf messages as text (after a first line "text") or as
// they are on the wire, and little programs of one word and its numbers a line.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace dfs::fuzz {

// The bytes of one run; what the next run gets is somebody else's.
inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Takes the first line off `input`, without its newline.
std::string_view take_line(std::string_view& input);

// False if `input` is no such message in either form.
bool read_message(std::string_view input, google::protobuf::Message& message);

// Of one line: words and numbers, one after another.
class Words {
 public:
  explicit Words(std::string_view line) : left_(line) {}

  // Empty at the end of the line.
  std::string_view word();
  // 0 if there is none; never more than `most`.
  std::uint64_t number(std::uint64_t most);

 private:
  std::string_view left_;
};

}  // namespace dfs::fuzz
