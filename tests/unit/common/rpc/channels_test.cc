#include "common/rpc/channels.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <fstream>

#include "common/base/process.h"
#include "common/base/unique_fd.h"

namespace dfs {
namespace {

// A unix socket at `path`; somebody answers there while it lives.
UniqueFd bind_at(const std::filesystem::path& path, bool listens) {
  std::filesystem::create_directories(path.parent_path());
  std::filesystem::remove(path);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  if (listens) {
    EXPECT_EQ(::listen(fd.get(), 4), 0);
  }
  return fd;
}

TEST(DialTarget, IsTcpWhenThereIsNoLocalSocket) {
  EXPECT_EQ(dial_target("127.0.0.1:7999"), "ipv4:127.0.0.1:7999");
  EXPECT_EQ(dial_target("example.org:7999"), "dns:///example.org:7999");
  EXPECT_EQ(dial_target("[::1]:7999"), "ipv6:[::1]:7999");
}

TEST(DialTarget, IsTheLocalSocketWhenSomebodyAnswersThere) {
  const auto path = local_socket_path("127.0.0.1:7001");
  const UniqueFd server = bind_at(path, true);
  EXPECT_EQ(dial_target("127.0.0.1:7001"), "unix:" + path.string());
  EXPECT_EQ(dial_target("127.0.0.1:7001", machine_id()), "unix:" + path.string());
  EXPECT_EQ(dial_target("127.0.0.1:7001", "another machine"), "ipv4:127.0.0.1:7001");
}

TEST(DialTarget, IsTheSocketThatIsNamedForAServerOfThisMachineOnly) {
  const auto path = local_socket_directory() / "named.sock";
  const UniqueFd server = bind_at(path, true);
  EXPECT_EQ(dial_target("10.9.8.7:7001", machine_id(), path.string()), "unix:" + path.string());
  EXPECT_EQ(dial_target("10.9.8.7:7001", "", path.string()), "ipv4:10.9.8.7:7001");
}

TEST(DialTarget, FindsAServerThatListensOnEveryAddress) {
  const auto path = local_socket_path("0.0.0.0:7004");
  const UniqueFd server = bind_at(path, true);
  EXPECT_EQ(dial_target("127.0.0.1:7004"), "unix:" + path.string());
  EXPECT_EQ(dial_target("10.9.8.7:7004"), "ipv4:10.9.8.7:7004");
}

TEST(DialTarget, PassesOverASocketThatADeadServerLeft) {
  const auto path = local_socket_path("127.0.0.1:7002");
  const UniqueFd dead = bind_at(path, false);
  EXPECT_EQ(dial_target("127.0.0.1:7002"), "ipv4:127.0.0.1:7002");
}

TEST(DialTarget, PassesOverAFileThatIsNoSocket) {
  const auto path = local_socket_path("127.0.0.1:7003");
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << "no socket";
  EXPECT_EQ(dial_target("127.0.0.1:7003"), "ipv4:127.0.0.1:7003");
  EXPECT_EQ(prepare_local_socket(path).error().code, Errc::exists);
}

TEST(LocalSocket, TakesTheNameOfTheAddress) {
  EXPECT_EQ(local_socket_path("127.0.0.1:7300").filename(), "127.0.0.1_7300.sock");
  EXPECT_EQ(local_socket_path("[::1]:7300").filename(), "___1__7300.sock");
}

TEST(LocalSocket, ReplacesAStaleFileAndNotALiveServer) {
  const auto path = local_socket_directory() / "made" / "x.sock";
  std::filesystem::remove_all(path.parent_path());
  ASSERT_TRUE(prepare_local_socket(path));
  struct stat status{};
  ASSERT_EQ(::stat(path.parent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755u);
  {
    const UniqueFd live = bind_at(path, true);
    EXPECT_EQ(prepare_local_socket(path).error().code, Errc::busy);
  }
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(prepare_local_socket(path));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace dfs
