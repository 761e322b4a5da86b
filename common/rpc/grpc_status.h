// How an Error travels as the status of a gRPC call, and back.
//
// The status code is the nearest of gRPC's; the exact Errc and its sentence
// travel in the status details (a serialized v1::Error), so that nothing is
// lost between our own programs. A status that another party made (gRPC
// itself: refused, reset, timed out) becomes the nearest Errc.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "common/base/result.h"

namespace dfs {

grpc::Status to_grpc(const Error& error);
grpc::Status to_grpc(const Result<void>& result);

// `status` must not be OK. The text is gRPC's reduced to its cause
// ("Connection refused").
Error from_grpc(const grpc::Status& status);

}  // namespace dfs
