// What passes between a session and the server, in words for a person.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <string>

namespace dfs::sim {

std::string text_of_client_frame(const grpc::ByteBuffer& frame);
std::string text_of_server_frame(const grpc::ByteBuffer& frame);

}  // namespace dfs::sim
