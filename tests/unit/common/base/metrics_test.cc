#include "common/base/metrics.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/unique_fd.h"

namespace dfs {
namespace {

using testing::HasSubstr;

std::string http_get(int port, const std::string& path) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return "no answer";
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  if (::send(socket.get(), request.data(), request.size(), 0) < 0) return "no answer";
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<std::size_t>(got));
  return answer;
}

TEST(Metrics, AreFoundAgainByNameAndLabels) {
  Counter& counter = metrics().counter("dfs_test_found_total", "Found.", {{"disk", "a"}});
  counter.add();
  counter.add(2);
  EXPECT_EQ(&counter, &metrics().counter("dfs_test_found_total", "Found.", {{"disk", "a"}}));
  EXPECT_NE(&counter, &metrics().counter("dfs_test_found_total", "Found.", {{"disk", "b"}}));
  EXPECT_EQ(counter.value(), 3);
}

TEST(Metrics, AppearInTheTextFormat) {
  metrics().gauge("dfs_test_bytes", "Bytes.").set(5);
  metrics().gauge("dfs_test_bytes", "Bytes.").add(-2);
  metrics().histogram("dfs_test_seconds", "Seconds.", {0.1, 1}).observe(0.5);
  const std::string text = metrics().text();
  EXPECT_THAT(text, HasSubstr("dfs_test_bytes 3"));
  EXPECT_THAT(text, HasSubstr("dfs_test_seconds_bucket{le=\"0.1\"} 0"));
  EXPECT_THAT(text, HasSubstr("dfs_test_seconds_bucket{le=\"1\"} 1"));
  EXPECT_THAT(text, HasSubstr("dfs_test_seconds_count 1"));
}

TEST(MetricsServer, ServesThePage) {
  metrics().counter("dfs_test_served_total", "Served.").add();
  const auto server = MetricsServer::start("127.0.0.1:0");
  ASSERT_TRUE(server);
  const std::string answer = http_get((*server)->port(), "/metrics");
  EXPECT_THAT(answer, HasSubstr("200 OK"));
  EXPECT_THAT(answer, HasSubstr("dfs_test_served_total 1"));
}

TEST(MetricsServer, NamesAnAddressThatIsInUse) {
  const auto first = MetricsServer::start("127.0.0.1:0");
  ASSERT_TRUE(first);
  const std::string address = "127.0.0.1:" + std::to_string((*first)->port());
  const auto second = MetricsServer::start(address);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().text, HasSubstr(address));
  EXPECT_THAT(second.error().text, HasSubstr("Address already in use"));
}

TEST(MetricsServer, RefusesWhatIsNoAddress) {
  EXPECT_FALSE(MetricsServer::start("9100"));
  EXPECT_FALSE(MetricsServer::start("unix:/run/x"));
  EXPECT_FALSE(MetricsServer::start("192.0.2.1:9100"));  // not an address of this machine
}

}  // namespace
}  // namespace dfs
