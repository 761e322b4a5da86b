#include "server/storage/forward_link.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/unique_fd.h"
#include "tests/unit/server/storage/store_fixture.h"

namespace dfs::storage {
namespace {

// Takes connections and never says a word: a hung server.
class SilentListener {
 public:
  SilentListener() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket_.get(), 8), 0);
    socklen_t length = sizeof address;
    EXPECT_EQ(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  UniqueFd socket_;
  int port_ = 0;
};

ForwardTarget target_at(const std::string& address) {
  ForwardTarget target;
  target.server = ServerId{2};
  target.address = address;
  return target;
}

PutPart part_of(const TestChunk& chunk) {
  PutPart part;
  part.chunk = chunk.meta.chunk;
  part.length = chunk.meta.length;
  part.checksums = chunk.sums;
  return part;
}

std::shared_ptr<const ReceivedBytes> bytes_of(const TestChunk& chunk,
                                              const std::shared_ptr<ByteBudget>& budget) {
  auto copy = std::make_shared<std::vector<std::byte>>(chunk.bytes);
  const BufferView view = *copy;
  return std::make_shared<ReceivedBytes>(ChunkBytes{copy, view, chunk.sums, true}, budget);
}

TEST(ForwardLink, GivesUpAMemberThatMakesNoProgress) {
  FakeClock clock;
  const SilentListener silent;
  const auto budget = std::make_shared<ByteBudget>(1 << 20, [](auto) {});
  const auto link = std::make_shared<ForwardLink>(
      target_at(silent.address()), "cluster-1",
      ForwardOptions{.progress_timeout = std::chrono::seconds(8)}, clock);
  const TestChunk chunk = make_chunk(1, 5000);
  std::optional<Errc> answer;
  link->begin(chunk.meta.chunk, [&](Result<Forwarded> result) { answer = result.error().code; });
  link->send(part_of(chunk), bytes_of(chunk, budget));
  EXPECT_EQ(budget->used(), 5000u);
  clock.advance(std::chrono::seconds(7));
  link->check_progress();
  EXPECT_FALSE(answer);
  clock.advance(std::chrono::seconds(1));
  link->check_progress();
  EXPECT_EQ(answer, Errc::timed_out);
  EXPECT_EQ(budget->used(), 0u) << "what waited to be sent is let go";

  std::optional<Errc> next;
  link->begin(ChunkId(GroupId{3}, 2), [&](Result<Forwarded> result) { next = result.error().code; });
  EXPECT_EQ(next, Errc::unavailable) << "it is not tried again at once";
  link->stop();
}

TEST(ForwardLink, OwesOneAnswerForEachAnnouncement) {
  FakeClock clock;
  const SilentListener silent;
  const auto link = std::make_shared<ForwardLink>(
      target_at(silent.address()), "cluster-1",
      ForwardOptions{}, clock);
  int first = 0, second = 0, forgotten = 0;
  const ChunkId chunk(GroupId{3}, 1);
  link->begin(chunk, [&](const auto&) { ++first; });
  link->begin(chunk, [&](const auto&) { ++second; });
  EXPECT_EQ(first, 1) << "replaced";
  const auto ticket = link->begin(ChunkId(GroupId{3}, 2), [&](const auto&) { ++forgotten; });
  link->forget(ChunkId(GroupId{3}, 2), ticket);
  link->stop();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 1);
  EXPECT_EQ(forgotten, 0);
}

}  // namespace
}  // namespace dfs::storage
