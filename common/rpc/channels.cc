#include "common/rpc/channels.h"

#include <fmt/format.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <system_error>
#include <vector>

#include "common/base/address.h"
#include "common/base/ids.h"
#include "common/base/process.h"
#include "common/base/unique_fd.h"
#include "common/rpc/protocol.h"

namespace dfs {
namespace {

// A peer that answers no ping for this long after this long of silence is
// dead: together about 10 s.
constexpr int kPingAfterMs = 4'000;
constexpr int kPingAnswerMs = 6'000;

// Arguments that both ends of a connection have. `set` is called with a name
// and a number.
template <typename Set>
void for_each_common_argument(Set set) {
  // Measured with 1 MiB messages: large frames, no probing of the bandwidth
  // and 4 MiB of look-ahead give 3 GiB/s on one stream instead of 1.7.
  set("grpc.http2.max_frame_size", 16'777'215);
  set("grpc.http2.lookahead_bytes", static_cast<int>(4 * MiB));
  set("grpc.http2.bdp_probe", 0);
  set(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, static_cast<int>(kMessageBytesMax));
  set(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, static_cast<int>(kMessageBytesMax));
  set(GRPC_ARG_KEEPALIVE_TIME_MS, kPingAfterMs);
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingAnswerMs);
  set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  set(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
}

bool is_loopback(const std::string& host) {
  if (host == "localhost" || host == "::1") return true;
  in_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 &&
         (ntohl(address.s_addr) >> 24) == IN_LOOPBACKNET;
}

bool is_ipv4(const std::string& host) {
  in_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1;
}

Result<sockaddr_un> unix_address(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.size() >= sizeof address.sun_path)
    return fail(Errc::name_too_long, fmt::format("{} is too long for a unix socket", text));
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

bool somebody_answers(const std::filesystem::path& path) {
  const Result<sockaddr_un> address = unix_address(path);
  if (!address) return false;
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return false;
  // A full backlog (EAGAIN) is somebody, too.
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) ==
             0 ||
         errno == EAGAIN;
}

// A socket of root's or of our own: what anybody else put there we do not talk to.
bool is_trusted_socket(const std::filesystem::path& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return false;
  return S_ISSOCK(status.st_mode) && (status.st_uid == 0 || status.st_uid == ::geteuid());
}

// Where a server of this machine that is reached at `address` may have its
// socket: it may have been told to listen on every address.
std::vector<std::filesystem::path> local_candidates(std::string_view address, const Address& parsed,
                                                    std::string_view local_socket) {
  if (!local_socket.empty()) return {std::filesystem::path(local_socket)};
  const std::string port = std::to_string(parsed.port);
  return {local_socket_path(address), local_socket_path("0.0.0.0:" + port),
          local_socket_path("[::]:" + port)};
}

}  // namespace

void prepare_grpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Of gRPC's engines only epoll1 notices an event during a busy poll: with
    // `poll` the small round trip took 111 us instead of 16.
    ::setenv("GRPC_POLL_STRATEGY", "epoll1", 0);
    // Debian builds absl with its deadlock detector on: every lock gRPC takes
    // then updates a graph under one process-wide spin lock.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  });
}

std::filesystem::path local_socket_directory() {
  const char* chosen = std::getenv("DFS_RUN_DIRECTORY");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/run/dfs";
}

std::filesystem::path local_socket_path(std::string_view address) {
  std::string name(address);
  for (char& letter : name)
    if (letter == ':' || letter == '/' || letter == '[' || letter == ']') letter = '_';
  return local_socket_directory() / (name + ".sock");
}

std::string dial_target(std::string_view address, std::string_view machine,
                        std::string_view local_socket) {
  const Result<Address> parsed = parse_address(address);
  if (!parsed || parsed->is_unix()) return std::string(address);
  const bool here = machine.empty() ? is_loopback(parsed->host) : machine == machine_id();
  if (here)
    for (const std::filesystem::path& path : local_candidates(address, *parsed, local_socket))
      if (is_trusted_socket(path) && somebody_answers(path)) return "unix:" + path.string();
  // Numbers need no resolver.
  const bool is_ipv6 = parsed->host.find(':') != std::string::npos;
  return (is_ipv6 ? "ipv6:" : is_ipv4(parsed->host) ? "ipv4:" : "dns:///") + std::string(address);
}

std::shared_ptr<grpc::Channel> make_channel(const std::string& target) {
  prepare_grpc();
  grpc::ChannelArguments arguments;
  for_each_common_argument(
      [&](const char* name, int value) { arguments.SetInt(name, value); });
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3'000);  // how long one attempt may take
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

bool wait_connected(grpc::Channel& channel, std::chrono::milliseconds timeout) {
  return channel.WaitForConnected(std::chrono::system_clock::now() + timeout);
}

void set_server_arguments(grpc::ServerBuilder& builder) {
  prepare_grpc();
  for_each_common_argument(
      [&](const char* name, int value) { builder.AddChannelArgument(name, value); });
  // A second server on the port is an error, not a partner.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Pings as often as our clients send them are welcome.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 1'024);
}

Result<void> prepare_local_socket(const std::filesystem::path& path) {
  TRY(unix_address(path));
  const std::filesystem::path directory = path.parent_path();
  std::error_code error;
  if (std::filesystem::create_directories(directory, error))
    std::filesystem::permissions(directory, std::filesystem::perms(0755), error);
  if (error) return fail_errno(error.value(), "create " + directory.string());
  if (::access(directory.c_str(), W_OK | X_OK) != 0)
    return fail_errno(errno, "write to " + directory.string());

  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(errno, "look at " + path.string());
  }
  if (!S_ISSOCK(status.st_mode))
    return fail(Errc::exists, fmt::format("{} exists and is no socket", path.string()));
  if (somebody_answers(path))
    return fail(Errc::busy, fmt::format("another server answers at {}", path.string()));
  if (::unlink(path.c_str()) != 0) return fail_errno(errno, "remove " + path.string());
  return {};
}

}  // namespace dfs
