// The file that says whose directory this is.
#include "server/storage/store_identity.h"

#include "tests/fuzz/input.h"
#include "tests/support/fake_disk.h"

namespace dfs::fuzz {
namespace {

using namespace dfs::storage;

void run(std::string_view input) {
  FakeDisk disk;
  const std::filesystem::path directory = "/store";
  const auto file = disk.create(directory / "identity");
  const BufferView piece = as_bytes(input);
  invariant(file && (*file)->write(0, {&piece, 1}), "the disk in memory does as it is told");

  const auto identity = read_identity(disk, directory);
  invariant(check_usable(disk, directory).has_value() == identity.has_value(),
            "a directory is used if its identity can be read");
  if (!identity) {
    const Errc code = identity.error().code;
    invariant(code == Errc::corrupt || code == Errc::unsupported, "a refusal says what is wrong");
    return;
  }
  invariant(identity->has_value(), "a file is there");
  invariant(write_identity(disk, directory, **identity).has_value(), "an identity can be written");
  const auto again = read_identity(disk, directory);
  invariant(again && *again == *identity, "an identity survives");
}

}  // namespace
}  // namespace dfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dfs::fuzz::run(dfs::fuzz::text_of(data, size));
  return 0;
}
