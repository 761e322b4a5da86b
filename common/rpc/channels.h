// How our programs find and reach each other: channel and server arguments,
// and the unix sockets that stand beside TCP on one machine.
//
// Every server that listens on HOST:PORT also listens on the unix socket
// local_socket_path("HOST:PORT"); dial_target() decides which of the two a
// client uses. A unix socket costs a quarter less time per small message.
//
// Threads: any. Call prepare_grpc() first in main(), before other threads.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace dfs {

// Chooses how gRPC waits for sockets (channels.cc says why). Idempotent;
// everything in this room calls it, but it changes the environment and is
// safest early in main().
void prepare_grpc();

// /run/dfs, or $DFS_RUN_DIRECTORY.
std::filesystem::path local_socket_directory();
// <local_socket_directory>/HOST_PORT.sock
std::filesystem::path local_socket_path(std::string_view address);

// What to hand to gRPC for reaching `address`: "unix:PATH" when the server is
// on this machine, its socket belongs to root or to us and somebody answers
// there; otherwise TCP. The server is on this machine if `machine` is
// machine_id() (base/process.h), or, when `machine` is empty, if the host is a
// loopback address. `local_socket` overrides local_socket_path(address).
std::string dial_target(std::string_view address, std::string_view machine = {},
                        std::string_view local_socket = {});

// A channel of its own: it shares its connection with no other. Does not
// connect yet. Plain text; a dead peer is noticed within about 10 s.
std::shared_ptr<grpc::Channel> make_channel(const std::string& target);

// True as soon as the channel is connected, false when `timeout` has passed first.
bool wait_connected(grpc::Channel& channel, std::chrono::milliseconds timeout);

// The server's side of the same choices: frame sizes, limits, keep-alive, one
// owner per port.
void set_server_arguments(grpc::ServerBuilder& builder);

// Makes room for a listening unix socket: directory, mode 0755, and no file
// that a dead server left. `busy` if somebody answers there.
Result<void> prepare_local_socket(const std::filesystem::path& path);

}  // namespace dfs
