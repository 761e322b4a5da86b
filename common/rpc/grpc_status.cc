#include "common/rpc/grpc_status.h"

#include <utility>

#include "common/rpc/convert.h"

namespace dfs {
namespace {

grpc::StatusCode code_for(Errc code) {
  switch (code) {
    case Errc::ok: return grpc::StatusCode::OK;
    case Errc::not_found: return grpc::StatusCode::NOT_FOUND;
    case Errc::exists: return grpc::StatusCode::ALREADY_EXISTS;
    case Errc::access:
    case Errc::not_permitted: return grpc::StatusCode::PERMISSION_DENIED;
    case Errc::invalid:
    case Errc::bad_message: return grpc::StatusCode::INVALID_ARGUMENT;
    case Errc::unsupported: return grpc::StatusCode::UNIMPLEMENTED;
    case Errc::busy:
    case Errc::no_space:
    case Errc::overloaded: return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case Errc::interrupted: return grpc::StatusCode::CANCELLED;
    case Errc::timed_out: return grpc::StatusCode::DEADLINE_EXCEEDED;
    case Errc::unavailable: return grpc::StatusCode::UNAVAILABLE;
    case Errc::corrupt: return grpc::StatusCode::DATA_LOSS;
    case Errc::internal: return grpc::StatusCode::INTERNAL;
    default: return grpc::StatusCode::FAILED_PRECONDITION;
  }
}

Errc errc_for(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::DEADLINE_EXCEEDED: return Errc::timed_out;
    case grpc::StatusCode::UNIMPLEMENTED: return Errc::unsupported;
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return Errc::overloaded;
    case grpc::StatusCode::INVALID_ARGUMENT: return Errc::bad_message;
    case grpc::StatusCode::NOT_FOUND: return Errc::not_found;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED: return Errc::access;
    default: return Errc::unavailable;
  }
}

// gRPC nests causes: "failed to connect to all addresses; last error: UNKNOWN:
// ipv4:127.0.0.1:7300: Failed to connect to remote host: Connection refused".
std::string cause_of(const std::string& text) {
  const std::size_t last = text.find("last error: ");
  if (last == std::string::npos) return text;
  const std::size_t colon = text.rfind(": ");
  return text.substr(colon + 2);
}

}  // namespace

grpc::Status to_grpc(const Error& error) {
  if (error.code == Errc::ok) return grpc::Status::OK;
  v1::Error message;
  to_proto(error, message);
  return {code_for(error.code), error.to_string(), message.SerializeAsString()};
}

grpc::Status to_grpc(const Result<void>& result) {
  return result ? grpc::Status::OK : to_grpc(result.error());
}

Error from_grpc(const grpc::Status& status) {
  if (v1::Error message; !status.error_details().empty() &&
                         message.ParseFromString(status.error_details()) && message.code() != 0)
    return from_proto(message);
  return {errc_for(status.error_code()), cause_of(status.error_message())};
}

}  // namespace dfs
