#include "tests/sim/frame_text.h"

#include <google/protobuf/message.h>

#include <regex>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/rpc/frame.h"
#include "dfs/v1/meta.pb.h"

namespace dfs::sim {
namespace {

// Fields that say little about what happens.
const std::regex kNoise(" (type|mode|nlink|uid|gid|atime|mtime|ctime|btime|generation|allocated|rdev|chunk_size"
                        "|replicas|change|program|place|protocol_version|process|server_time|server_version|cluster"
                        "|session_timeout_ms|lease_time_ms|may_be_absent|entries_max|extents_max): [^ ]+");

std::string text_of(const google::protobuf::Message& message) {
  constexpr std::size_t kMost = 240;
  std::string text = std::regex_replace(" " + message.ShortDebugString(), kNoise, "").substr(1);
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}

}  // namespace

std::string text_of_client_frame(const grpc::ByteBuffer& frame) {
  v1::ClientFrame message;
  if (!parse_message(frame, message)) return "?";
  if (message.has_hello()) return "hello: " + text_of(message.hello());
  std::vector<std::string> parts;
  for (const v1::Request& request : message.requests()) parts.push_back(text_of(request));
  return fmt::format("{}", fmt::join(parts, "\n        "));
}

std::string text_of_server_frame(const grpc::ByteBuffer& frame) {
  v1::ServerFrame message;
  if (!parse_message(frame, message)) return "?";
  std::vector<std::string> parts;
  if (message.has_welcome()) {
    message.mutable_welcome()->clear_group_table();
    parts.push_back("welcome: " + text_of(message.welcome()));
  }
  if (message.has_error()) parts.push_back("error: " + text_of(message.error()));
  if (message.has_recall()) parts.push_back("recall: " + text_of(message.recall()));
  for (const v1::Response& response : message.responses()) parts.push_back(text_of(response));
  if (message.has_group_table()) parts.push_back("group table");
  return fmt::format("{}", fmt::join(parts, "\n        "));
}

}  // namespace dfs::sim
