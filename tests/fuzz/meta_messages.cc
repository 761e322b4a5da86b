// Requests and responses of the metadata protocol, and what is pushed to sessions.
//
// Input: a line "request", "response", "groups" or "recall", then the message.
#include "common/rpc/convert.h"

#include <type_traits>
#include <variant>

#include "tests/fuzz/input.h"

namespace dfs::fuzz {
namespace {

void check_refusal(const Error& error) {
  invariant(error.code == Errc::bad_message || error.code == Errc::name_too_long,
            "what breaks a rule is a bad message or a name too long");
  invariant(!error.text.empty(), "a refusal says why");
}

// A message that from_proto() takes becomes values; their message is taken too,
// and is the same as that of the values it becomes.
void check_request(std::string_view input) {
  v1::Request message;
  if (!read_message(input, message)) return;
  const auto first = from_proto(std::move(message));
  if (!first) return check_refusal(first.error());
  v1::Request encoded;
  to_proto(*first, encoded);
  const std::string bytes = encoded.SerializeAsString();
  const auto second = from_proto(std::move(encoded));
  invariant(second.has_value(), "a request that was encoded decodes");
  invariant(second->index() == first->index(), "a request stays what it is");
  v1::Request again;
  to_proto(*second, again);
  invariant(again.SerializeAsString() == bytes, "a request survives");
}

void check_response(std::string_view input) {
  v1::Response message;
  if (!read_message(input, message)) return;
  const auto first = from_proto(std::move(message));
  v1::Response encoded;
  to_proto(first, encoded);
  const std::string bytes = encoded.SerializeAsString();
  const auto second = from_proto(std::move(encoded));
  invariant(second.has_value() == first.has_value(), "an answer stays an answer, an error an error");
  v1::Response again;
  to_proto(second, again);
  invariant(again.SerializeAsString() == bytes, "a response survives");
}

template <typename Message>
void check_part(std::string_view input) {
  Message message;
  if (!read_message(input, message)) return;
  const auto first = from_proto(message);
  if (!first) return check_refusal(first.error());
  Message encoded;
  to_proto(*first, encoded);
  const auto second = from_proto(encoded);
  invariant(second.has_value(), "what was encoded decodes");
  Message again;
  to_proto(*second, again);
  invariant(again.SerializeAsString() == encoded.SerializeAsString(), "what was decoded survives");
}

void run(std::string_view input) {
  const std::string_view kind = take_line(input);
  if (kind == "request") return check_request(input);
  if (kind == "response") return check_response(input);
  if (kind == "groups") return check_part<v1::GroupTable>(input);
  if (kind == "recall") return check_part<v1::LeaseRecall>(input);
  if (kind == "lock") return check_part<v1::HeldLock>(input);
}

}  // namespace
}  // namespace dfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dfs::fuzz::run(dfs::fuzz::text_of(data, size));
  return 0;
}
