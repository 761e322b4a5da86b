// The small parts that requests are served with.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "fuse/in_flight.h"
#include "fuse/kernel_abi.h"
#include "fuse/request_hints.h"
#include "fuse/session_config.h"
#include "fuse/set_id.h"
#include "tests/support/fake_clock.h"

namespace dfs::fuse {
namespace {

using namespace std::chrono_literals;

template <typename Body>
std::vector<std::byte> request_with(std::uint32_t opcode, const Body& body) {
  fuse_in_header header{};
  header.opcode = opcode;
  std::vector<std::byte> bytes(sizeof header + sizeof body);
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, &body, sizeof body);
  return bytes;
}

TEST(RequestHints, SayWhetherAWriteDropsSetIdBits) {
  fuse_write_in write{};
  EXPECT_FALSE(hints_of(request_with(FUSE_WRITE, write), 0).kill_set_id);
  write.write_flags = FUSE_WRITE_KILL_SUIDGID;
  EXPECT_TRUE(hints_of(request_with(FUSE_WRITE, write), 0).kill_set_id);
  EXPECT_FALSE(hints_of(request_with(FUSE_READ, write), 0).kill_set_id);
  fuse_open_in open{};
  open.open_flags = FUSE_OPEN_KILL_SUIDGID;
  EXPECT_TRUE(hints_of(request_with(FUSE_OPEN, open), 0).kill_set_id);
  EXPECT_FALSE(hints_of({}, 0).kill_set_id);
}

TEST(RequestHints, SayWhetherAListTakesSetGid) {
  fuse_setxattr_in set{};
  EXPECT_FALSE(hints_of(request_with(FUSE_SETXATTR, set), FUSE_SETXATTR_EXT).kill_set_gid);
  set.setxattr_flags = FUSE_SETXATTR_ACL_KILL_SGID;
  EXPECT_TRUE(hints_of(request_with(FUSE_SETXATTR, set), FUSE_SETXATTR_EXT).kill_set_gid);
  EXPECT_FALSE(hints_of(request_with(FUSE_SETXATTR, set), 0).kill_set_gid)
      << "the kernel sends a name there";
}

TEST(RequestHints, GiveLibfuseTheShortFormOfSetxattr) {
  struct Request {
    fuse_in_header header{};
    fuse_setxattr_in body{};
    char rest[12] = "name\0value";
  };
  Request request;
  request.header.len = sizeof request;
  request.header.opcode = FUSE_SETXATTR;
  request.header.unique = 7;
  request.body.size = 5;
  request.body.flags = 2;
  const auto bytes = [&request] {
    return MutableBuffer(reinterpret_cast<std::byte*>(&request), sizeof request);
  };
  EXPECT_EQ(as_libfuse_reads(bytes(), 0).data(), bytes().data());
  const MutableBuffer read = as_libfuse_reads(bytes(), FUSE_SETXATTR_EXT);
  fuse_in_header header;
  std::memcpy(&header, read.data(), sizeof header);
  EXPECT_EQ(header.len, sizeof request - 8);
  EXPECT_EQ(read.size(), sizeof request - 8);
  EXPECT_EQ(header.unique, 7u);
  std::uint32_t numbers[2];
  std::memcpy(numbers, read.data() + sizeof header, sizeof numbers);
  EXPECT_EQ(numbers[0], 5u);
  EXPECT_EQ(numbers[1], 2u);
  EXPECT_EQ(std::memcmp(read.data() + sizeof header + 8, "name\0value", 11), 0);
}

TEST(RequestHints, TellWhatLibfuseTakesForAnotherRequest) {
  const auto opcode_after = [](std::vector<std::byte> request) {
    fuse_in_header header;
    std::memcpy(&header, as_libfuse_reads(request, 0).data(), sizeof header);
    return header.opcode;
  };
  const auto make = request_with(FUSE_TMPFILE, fuse_create_in{});
  EXPECT_TRUE(hints_of(make, 0).unnamed);
  EXPECT_EQ(opcode_after(make), FUSE_CREATE);
  EXPECT_FALSE(hints_of(request_with(FUSE_CREATE, fuse_create_in{}), 0).unnamed);
  const auto look = request_with(kernel::kStatx, fuse_getattr_in{});
  EXPECT_TRUE(hints_of(look, 0).statx);
  EXPECT_EQ(opcode_after(look), FUSE_GETATTR);
  EXPECT_FALSE(hints_of(request_with(FUSE_GETATTR, fuse_getattr_in{}), 0).statx);
}

TEST(SetIdMemory, HoldsUntilAModeChangesOrTimePasses) {
  FakeClock clock;
  ModeChanges changes;
  SetIdMemory memory;
  EXPECT_FALSE(memory.known_absent(changes, clock.now()));
  memory.saw_none(changes.count(), clock.now() + 1s);
  EXPECT_TRUE(memory.known_absent(changes, clock.now()));
  clock.advance(1s);
  EXPECT_FALSE(memory.known_absent(changes, clock.now()));

  memory.saw_none(changes.count(), clock.now() + 1s);
  changes.changed();
  EXPECT_FALSE(memory.known_absent(changes, clock.now()));
}

TEST(SetIdMemory, DoesNotTrustWhatWasSeenBeforeAChange) {
  FakeClock clock;
  ModeChanges changes;
  SetIdMemory memory;
  const std::uint64_t before = changes.count();
  changes.changed();
  memory.saw_none(before, clock.now() + 1s);
  EXPECT_FALSE(memory.known_absent(changes, clock.now()));
}

TEST(InFlight, InterruptsWhatIsThereAndWhatComes) {
  InFlight in_flight;
  Interrupt finished, waiting, later;
  in_flight.add(finished);
  in_flight.remove(finished);
  in_flight.add(waiting);
  in_flight.interrupt_all();
  in_flight.add(later);
  EXPECT_FALSE(finished.interrupted());
  EXPECT_TRUE(waiting.interrupted());
  EXPECT_TRUE(later.interrupted());
}

TEST(SessionConfig, NamesWhatIsOutOfRange) {
  EXPECT_TRUE(SessionConfig{}.validate());
  SessionConfig config;
  config.threads_max = 0;
  EXPECT_NE(config.validate().error().text.find("threads"), std::string::npos);
  config = {};
  config.spin = 1s;
  EXPECT_NE(config.validate().error().text.find("spin"), std::string::npos);
}

}  // namespace
}  // namespace dfs::fuse
