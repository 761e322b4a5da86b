// Settings from a TOML file and DFS_* environment variables.
//
// A program's configuration is a struct; this reads one value after another
// into it and refuses what nobody asked for, so that a misspelt key is an
// error and not a default.
//
//   auto file = TRY(ConfigFile::load(path));
//   TRY(file.read("listen", config.listen_address));
//   TRY(file.read("heartbeat_ms", config.heartbeat, 100ms, 60s));
//   TRY(file.finish());
//
// A key `a.b` is key `b` of table `[a]`; its environment variable is
// <prefix>_A_B and wins over the file. Built on toml++.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace dfs {

class ConfigFile {
 public:
  // Parses `path`; an empty path is an empty file. The error names file,
  // line and what is wrong.
  static Result<ConfigFile> load(const std::filesystem::path& path,
                                 std::string environment_prefix);
  // For tests: TOML text, no environment.
  static Result<ConfigFile> parse(std::string_view text);

  ConfigFile(ConfigFile&&) noexcept;
  ConfigFile& operator=(ConfigFile&&) noexcept;
  ~ConfigFile();

  // Each leaves `value` alone if the key is absent. Errors: `invalid`, with
  // the file, the key, what was found and what would be right.
  Result<void> read(std::string_view key, std::string& value);
  Result<void> read(std::string_view key, std::filesystem::path& value);
  Result<void> read(std::string_view key, bool& value);
  Result<void> read(std::string_view key, std::vector<std::string>& value);
  Result<void> read(std::string_view key, std::uint64_t& value, std::uint64_t least,
                    std::uint64_t most);
  Result<void> read(std::string_view key, std::uint32_t& value, std::uint32_t least,
                    std::uint32_t most);
  // Durations are whole milliseconds; end the key in `_ms`.
  Result<void> read(std::string_view key, std::chrono::milliseconds& value,
                    std::chrono::milliseconds least, std::chrono::milliseconds most);
  // Sizes: a number of bytes, or text such as "64KiB", "10GiB".
  Result<void> read_size(std::string_view key, std::uint64_t& value, std::uint64_t least,
                         std::uint64_t most);

  // `invalid` naming the first key in the file that nobody read.
  Result<void> finish();

 private:
  struct State;
  explicit ConfigFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// "64KiB", "1.5 GiB", "1048576" -> bytes.
Result<std::uint64_t> parse_size(std::string_view text);
// 1536 -> "1.5 KiB".
std::string format_size(std::uint64_t bytes);

}  // namespace dfs
