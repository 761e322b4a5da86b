#include "tests/fuzz/input.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <charconv>

namespace dfs::fuzz {
namespace {

constexpr std::string_view kTextLine = "text\n";

// libprotobuf tells of text that is not UTF-8, which a fuzzer finds often.
const auto silent_log = google::protobuf::SetLogHandler(nullptr);

class SilentErrors final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, google::protobuf::io::ColumnNumber, const std::string&) override {}
};

bool read_text(std::string_view text, google::protobuf::Message& message) {
  SilentErrors silent;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&silent);
  parser.SetRecursionLimit(32);
  return parser.ParseFromString(std::string(text), &message);
}

}  // namespace

std::string_view take_line(std::string_view& input) {
  const std::size_t end = std::min(input.find('\n'), input.size());
  const std::string_view line = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return line;
}

bool read_message(std::string_view input, google::protobuf::Message& message) {
  if (input.starts_with(kTextLine)) return read_text(input.substr(kTextLine.size()), message);
  return message.ParseFromArray(input.data(), static_cast<int>(input.size()));
}

std::string_view Words::word() {
  left_.remove_prefix(std::min(left_.find_first_not_of(' '), left_.size()));
  const std::size_t end = std::min(left_.find(' '), left_.size());
  const std::string_view word = left_.substr(0, end);
  left_.remove_prefix(end);
  return word;
}

std::uint64_t Words::number(std::uint64_t most) {
  const std::string_view text = word();
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return most == ~std::uint64_t{0} ? value : value % (most + 1);
}

}  // namespace dfs::fuzz
