#include "server/storage/storage_config.h"

#include <set>

#include <fmt/format.h>

#include "common/base/address.h"

namespace dfs::storage {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kLabelMax = 64;

Result<void> check_address(const char* what, const std::string& text, AddressUse use) {
  const auto address = parse_address(text, use);
  if (!address) return fail(Errc::invalid, fmt::format("{}: {}", what, address.error().text));
  return {};
}

template <typename Number>
Result<void> check_range(const char* what, Number value, Number least, Number most) {
  if (value >= least && value <= most) return {};
  return fail(Errc::invalid, fmt::format("{} is {}, it must be from {} to {}", what, value, least, most));
}

}  // namespace

Result<void> StorageConfig::validate() const {
  if (data_directories.empty())
    return fail(Errc::invalid, "no data directory: name at least one with --data DIR");
  std::set<std::filesystem::path> seen;
  for (const auto& directory : data_directories) {
    if (directory.empty()) return fail(Errc::invalid, "a data directory has an empty name");
    if (!seen.insert(directory.lexically_normal()).second)
      return fail(Errc::invalid, directory.string() + " is named twice as a data directory");
  }
  TRY(check_address("listen", listen_address, AddressUse::listen));
  TRY(check_address("meta", meta_address, AddressUse::connect));
  if (!advertised_address.empty())
    TRY(check_address("advertise", advertised_address, AddressUse::connect));
  const auto listen = parse_address(listen_address, AddressUse::listen);
  if (advertised_address.empty() && (listen->host == "0.0.0.0" || listen->host == "::"))
    return fail(Errc::invalid, listen_address +
                                   " means every address of this machine: say with --advertise "
                                   "HOST:PORT which one clients reach it at");
  TRY(check_range<std::uint64_t>("segment_bytes", segment_bytes, 128 * MiB, 64 * GiB));
  TRY(check_range<std::uint64_t>("open_segments_max", open_segments_max, 8, 16384));
  TRY(check_range<std::uint64_t>("uploads_max", uploads_max, 16, 1'000'000));
  TRY(check_range<std::uint64_t>("checkpoint_bytes", checkpoint_bytes, 16 * MiB, 64 * GiB));
  TRY(check_range<std::uint32_t>("disk_threads", disk_threads, 1, 256));
  TRY(check_range<std::uint64_t>("received_bytes_max", received_bytes_max, 8 * MiB, 16 * GiB));
  TRY(check_range<std::uint64_t>("sending_bytes_max", sending_bytes_max, 8 * MiB, 16 * GiB));
  return {};
}

Result<void> read_config(ConfigFile& file, StorageConfig& config) {
  std::vector<std::string> directories;
  TRY(file.read("data", directories));
  if (!directories.empty()) config.data_directories.assign(directories.begin(), directories.end());
  TRY(file.read("replace_missing", config.replace_missing));
  TRY(file.read("listen", config.listen_address));
  TRY(file.read("advertise", config.advertised_address));
  TRY(file.read("meta", config.meta_address));
  std::vector<std::string> labels;
  TRY(file.read("labels", labels));
  for (const std::string& label : labels) TRY(add_label(label, config.labels));

  TRY(file.read_size("reserve", config.reserved_bytes, 0, 1024 * TiB));
  TRY(file.read_size("segment_bytes", config.segment_bytes, 128 * MiB, 64 * GiB));
  TRY(file.read("open_segments_max", config.open_segments_max, 8, 16384));
  TRY(file.read("uploads_max", config.uploads_max, 16, 1'000'000));
  TRY(file.read("upload_idle_max_ms", config.upload_idle_max, milliseconds{1'000},
                milliseconds{86'400'000}));
  TRY(file.read_size("checkpoint_bytes", config.checkpoint_bytes, 16 * MiB, 64 * GiB));
  TRY(file.read("checkpoint_interval_ms", config.checkpoint_interval, milliseconds{1'000},
                milliseconds{3'600'000}));
  TRY(file.read("disk_threads", config.disk_threads, 1, 256));
  TRY(file.read_size("received_bytes_max", config.received_bytes_max, 8 * MiB, 16 * GiB));
  TRY(file.read_size("sending_bytes_max", config.sending_bytes_max, 8 * MiB, 16 * GiB));
  TRY(file.read("local_reads", config.local_reads));
  TRY(file.read_size("scrub_rate", config.scrub_bytes_per_second, 0, 1 * TiB));
  TRY(file.read_size("repair_rate", config.repair_bytes_per_second, 0, 1 * TiB));
  TRY(file.read("forward_timeout_ms", config.forward_timeout, milliseconds{100},
                milliseconds{600'000}));
  TRY(file.read("meta_timeout_ms", config.meta_timeout, milliseconds{100}, milliseconds{600'000}));
  return {};
}

Result<void> add_label(std::string_view text, std::map<std::string, std::string>& labels) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size() ||
      text.size() > 2 * kLabelMax)
    return fail(Errc::invalid, fmt::format("'{}' is no label; one looks like zone=a", text));
  labels.insert_or_assign(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
  return {};
}

}  // namespace dfs::storage
