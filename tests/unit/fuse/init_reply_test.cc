#include "fuse/init_reply.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

namespace dfs::fuse {
namespace {

constexpr std::uint64_t kUnique = 42;
constexpr std::uint32_t kEverything = 0xffffffffu;

std::vector<std::byte> init_request(std::uint32_t flags, std::uint32_t flags2) {
  fuse_in_header header{};
  header.opcode = FUSE_INIT;
  header.unique = kUnique;
  fuse_init_in body{};
  body.major = 7;
  body.minor = 45;
  body.flags = flags;
  body.flags2 = flags2;
  std::vector<std::byte> bytes(sizeof header + sizeof body);
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, &body, sizeof body);
  return bytes;
}

constexpr std::uint32_t kAccessControlLists = FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT;

// What libfuse would send.
struct Reply {
  fuse_out_header header{};
  fuse_init_out body{};
  std::array<iovec, 2> parts() {
    return {iovec{&header, sizeof header}, iovec{&body, sizeof body}};
  }
};

Reply reply_to(std::uint64_t unique) {
  Reply reply;
  reply.header.unique = unique;
  reply.body.flags = FUSE_ASYNC_READ | FUSE_INIT_EXT;
  return reply;
}

TEST(InitReplyEditor, AddsWhatIsWantedAndOffered) {
  InitReplyEditor editor({});
  editor.saw_request(init_request(kEverything, kEverything));
  Reply reply = reply_to(kUnique);
  const auto edited = editor.edit(reply.parts());
  ASSERT_TRUE(edited);
  EXPECT_EQ(edited->body.flags, static_cast<std::uint32_t>(FUSE_ASYNC_READ | FUSE_INIT_EXT |
                                                           FUSE_PARALLEL_DIROPS |
                                                           FUSE_HANDLE_KILLPRIV_V2 |
                                                           kAccessControlLists));
  EXPECT_TRUE(editor.done());
  EXPECT_EQ(std::uint64_t{edited->body.flags2} << 32, kernel::kDirectIoAllowMmap);
  EXPECT_EQ(editor.agreed(), edited->body.flags | kernel::kDirectIoAllowMmap);
  EXPECT_EQ(editor.kernel_minor(), 45u);
}

TEST(InitReplyEditor, AsksForNothingThatWasNotOffered) {
  InitReplyEditor editor({});
  editor.saw_request(init_request(FUSE_INIT_EXT | FUSE_PARALLEL_DIROPS, 0));
  Reply reply = reply_to(kUnique);
  const auto edited = editor.edit(reply.parts());
  ASSERT_TRUE(edited);
  EXPECT_TRUE(edited->body.flags & FUSE_PARALLEL_DIROPS);
  EXPECT_FALSE(edited->body.flags & FUSE_HANDLE_KILLPRIV_V2);
}

TEST(InitReplyEditor, AsksForAllThatAccessControlListsNeedOrNone) {
  for (const std::uint32_t missing : {FUSE_POSIX_ACL, FUSE_DONT_MASK, FUSE_SETXATTR_EXT}) {
    InitReplyEditor editor({});
    editor.saw_request(init_request(kEverything & ~missing, kEverything));
    Reply reply = reply_to(kUnique);
    EXPECT_FALSE(editor.edit(reply.parts())->body.flags & kAccessControlLists) << missing;
  }
}

TEST(InitReplyEditor, AsksForNothingThatIsNotWanted) {
  KernelFeatures wanted;
  wanted.parallel_directory_operations = false;
  wanted.access_control_lists = false;
  InitReplyEditor editor(wanted);
  editor.saw_request(init_request(kEverything, kEverything));
  Reply reply = reply_to(kUnique);
  EXPECT_FALSE(editor.edit(reply.parts())->body.flags &
               (FUSE_PARALLEL_DIROPS | kAccessControlLists));
}

TEST(InitReplyEditor, LeavesOtherRepliesAlone) {
  InitReplyEditor editor({});
  Reply reply = reply_to(kUnique);
  EXPECT_FALSE(editor.edit(reply.parts())) << "before any request";
  editor.saw_request(init_request(kEverything, kEverything));
  Reply other = reply_to(kUnique + 2);
  EXPECT_FALSE(editor.edit(other.parts()));
  EXPECT_FALSE(editor.done());
  EXPECT_TRUE(editor.edit(reply.parts()));
  EXPECT_FALSE(editor.edit(reply.parts())) << "a second time";
}

TEST(InitReplyEditor, LeavesARefusalAlone) {
  InitReplyEditor editor({});
  editor.saw_request(init_request(kEverything, kEverything));
  Reply reply = reply_to(kUnique);
  reply.header.error = -EPROTO;
  EXPECT_FALSE(editor.edit(std::span<const iovec>(reply.parts()).first(1)));
}

TEST(InitReplyEditor, SurvivesTruncatedRequests) {
  InitReplyEditor editor({});
  const auto whole = init_request(kEverything, kEverything);
  for (std::size_t length = 0; length < sizeof(fuse_in_header) + 16; ++length) {
    editor.saw_request(BufferView(whole).first(length));
    Reply reply = reply_to(kUnique);
    EXPECT_FALSE(editor.edit(reply.parts())) << length;
  }
}

}  // namespace
}  // namespace dfs::fuse
