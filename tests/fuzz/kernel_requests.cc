// Requests of the kernel before libfuse reads them.
//
// Input: a line "OPCODE FLAGS" (numbers; flags agreed on at FUSE_INIT), then the
// request's body. With opcode 26 (FUSE_INIT) the answer is edited too.
#include <linux/fuse.h>

#include <cstring>
#include <vector>

#include "fuse/init_reply.h"
#include "fuse/request_hints.h"
#include "tests/fuzz/input.h"

namespace dfs::fuzz {
namespace {

constexpr std::uint64_t kUnique = 7;

template <typename Plain>
std::vector<std::byte> bytes_of(const Plain& header, std::string_view body) {
  std::vector<std::byte> bytes(sizeof header + body.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!body.empty()) std::memcpy(bytes.data() + sizeof header, body.data(), body.size());
  return bytes;
}

fuse_in_header header_of(BufferView request) {
  fuse_in_header header;
  invariant(request.size() >= sizeof header, "a request keeps its header");
  std::memcpy(&header, request.data(), sizeof header);
  return header;
}

void check_init(BufferView request, std::uint64_t flags) {
  fuse::InitReplyEditor editor(fuse::KernelFeatures{});
  editor.saw_request(request);
  fuse_out_header header{.len = sizeof header + sizeof(fuse_init_out), .error = 0, .unique = kUnique};
  fuse_init_out body{};
  body.flags = static_cast<std::uint32_t>(flags);
  const iovec reply[] = {{&header, sizeof header}, {&body, sizeof body}};
  const auto edited = editor.edit(reply);
  invariant(editor.done() == edited.has_value(), "an answer is edited once");
  if (!edited) return;
  fuse_init_in asked{};
  const BufferView rest = request.subspan(sizeof(fuse_in_header));
  std::memcpy(&asked, rest.data(), std::min(rest.size(), sizeof asked));
  const std::uint32_t added = edited->body.flags & ~body.flags;
  invariant((added & ~asked.flags) == 0, "nothing is agreed on that the kernel did not offer");
  invariant(!editor.edit(reply).has_value(), "an answer is edited once");
}

void run(std::string_view input) {
  Words words(take_line(input));
  fuse_in_header header{};
  header.opcode = static_cast<std::uint32_t>(words.number(0xffffffff));
  const std::uint64_t flags = words.number(~std::uint64_t{0});
  header.len = static_cast<std::uint32_t>(sizeof header + input.size());
  header.unique = kUnique;
  std::vector<std::byte> request = bytes_of(header, input);
  if (header.opcode == FUSE_INIT) check_init(request, flags);

  const fuse::RequestHints hints = fuse::hints_of(request, flags);
  invariant(!hints.unnamed || header.opcode == FUSE_TMPFILE, "only FUSE_TMPFILE makes unnamed files");
  const MutableBuffer read = fuse::as_libfuse_reads(request, flags);
  const fuse_in_header after = header_of(read);
  invariant(after.len == read.size(), "a request is as long as it says");
  invariant(after.unique == kUnique, "a request stays the one it is");
  invariant(read.data() + read.size() == request.data() + request.size(), "what follows stays in place");

  // Whatever else comes in: less than a header is no request.
  const MutableBuffer part(reinterpret_cast<std::byte*>(&header),
                           std::min(input.size(), sizeof header - 1));
  (void)fuse::hints_of(part, flags);
}

}  // namespace
}  // namespace dfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dfs::fuzz::run(dfs::fuzz::text_of(data, size));
  return 0;
}
