// What operators and users write: configuration files, sizes, addresses,
// options of a mount.
//
// Input: a line "toml", "size", "address" or "options", then the text.
#include "common/base/address.h"
#include "common/base/config_file.h"
#include "fuse/mount_options.h"
#include "tests/fuzz/input.h"

namespace dfs::fuzz {
namespace {

void check_refusal(const Error& error) {
  invariant(!error.text.empty(), "a refusal says what is wrong");
}

void check_toml(std::string_view text) {
  auto file = ConfigFile::parse(text);
  if (!file) return check_refusal(file.error());
  std::string word;
  std::uint64_t number = 5;
  std::uint64_t size = 4096;
  bool flag = false;
  std::vector<std::string> list;
  std::chrono::milliseconds time{10};
  (void)file->read("word", word);
  (void)file->read("flag", flag);
  (void)file->read("table.list", list);
  if (!file->read("number", number, 5, 50)) invariant(number == 5, "a refused number leaves the default");
  invariant(number >= 5 && number <= 50, "a number keeps its limits");
  (void)file->read_size("table.size", size, 4096, 1 << 20);
  invariant(size >= 4096 && size <= 1 << 20, "a size keeps its limits");
  using namespace std::chrono_literals;
  (void)file->read("time_ms", time, 1ms, 60s);
  invariant(time >= 1ms && time <= 60s, "a time keeps its limits");
  if (const auto finished = file->finish(); !finished) check_refusal(finished.error());
}

void check_size(std::string_view text) {
  const auto size = parse_size(text);
  if (!size) return check_refusal(size.error());
  const auto again = parse_size(format_size(*size));
  invariant(again.has_value(), "a size that is shown can be read");
}

void check_address(std::string_view text) {
  const auto address = parse_address(text, AddressUse::listen);
  if (!address) return check_refusal(address.error());
  const auto again = parse_address(address->to_string(), AddressUse::listen);
  invariant(again && *again == *address, "an address survives");
}

void check_options(std::string_view text) {
  fuse::MountOptions options;
  const auto applied = fuse::apply_option_list(options, text);
  if (!applied) return check_refusal(applied.error());
  const auto valid = fuse::validate(options);
  if (!valid) check_refusal(valid.error());
}

void run(std::string_view input) {
  const std::string_view kind = take_line(input);
  if (kind == "toml") return check_toml(input);
  if (kind == "size") return check_size(input);
  if (kind == "address") return check_address(input);
  if (kind == "options") return check_options(input);
}

}  // namespace
}  // namespace dfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dfs::fuzz::run(dfs::fuzz::text_of(data, size));
  return 0;
}
