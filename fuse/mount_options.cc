#include "fuse/mount_options.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <functional>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>
#include <vector>

#include "common/base/config_file.h"

namespace dfs::fuse {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSoftTimeoutDefault{30'000};
constexpr milliseconds kTimeoutMax{24 * 3600 * 1000};

// --- values ---

Result<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size()) return number;
  return fail(Errc::invalid, fmt::format("'{}' is not a whole number", text));
}

// "1", "0.5"
Result<milliseconds> parse_seconds(std::string_view text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  if (!whole || !(seconds >= 0) || seconds > kTimeoutMax.count() / 1000.0) {
    return fail(Errc::invalid, fmt::format("'{}' is not a number of seconds up to a day", text));
  }
  return milliseconds(static_cast<std::int64_t>(seconds * 1000 + 0.5));
}

Result<void> set_seconds(milliseconds& value, std::string_view text) {
  value = TRY(parse_seconds(text));
  return {};
}

template <typename Size>
Result<void> set_size(Size& value, std::string_view text) {
  const auto bytes = TRY(parse_size(text));
  value = static_cast<Size>(bytes);
  return {};
}

// Several readers' read-ahead must fit into a cache made smaller.
void fit_read_ahead(ClientConfig& client) {
  client.read_ahead_bytes_max =
      std::min(ClientConfig{}.read_ahead_bytes_max, client.read_cache_bytes / 4);
}

// --- the options of -o ---

struct Option {
  std::string_view name;
  std::string_view value;  // what stands behind '=', for people; empty: none is taken
  std::string_view help;
  std::function<Result<void>(MountOptions&, std::string_view)> apply;
};

Option flag(std::string_view name, std::string_view help, std::function<void(MountOptions&)> set) {
  const auto apply = [set = std::move(set)](MountOptions& options,
                                            std::string_view) -> Result<void> {
    set(options);
    return {};
  };
  return {name, {}, help, apply};
}

const std::vector<Option>& known_options() {
  static const std::vector<Option> table = {
      flag("ro", "nothing can be changed", [](auto& o) { o.flags |= MS_RDONLY; }),
      flag("rw", "the opposite, the default", [](auto& o) { o.flags &= ~MS_RDONLY; }),
      flag("allow_other", "all users may use it; the default when root mounts",
           [](auto& o) { o.allow_other = true; }),
      flag("allow_self", "only the user who mounts may", [](auto& o) { o.allow_other = false; }),
      flag("hard", "wait for servers that are away, for ever; the default",
           [](auto& o) { o.client.soft_timeout = milliseconds{0}; }),
      flag("soft", "fail with EIO when servers are away for longer than `timeout`",
           [](auto& o) {
             if (o.client.soft_timeout.count() == 0) o.client.soft_timeout = kSoftTimeoutDefault;
           }),
      {"timeout", "SECONDS", "soft, after this long (30)",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         return set_seconds(o.client.soft_timeout, text);
       }},
      {"cluster", "ID", "refuse any other cluster",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         o.cluster = text;
         return {};
       }},
      {"write_buffer", "SIZE", "bytes written and not yet on the servers (256MiB)",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         return set_size(o.client.write_buffer_bytes, text);
       }},
      {"cache_size", "SIZE", "bytes read and kept in memory (512MiB)",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         TRY(set_size(o.client.read_cache_bytes, text));
         fit_read_ahead(o.client);
         return {};
       }},
      {"readahead", "SIZE", "what the kernel reads ahead (2MiB)",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         return set_size(o.session.read_ahead_bytes, text);
       }},
      {"attr_timeout", "SECONDS", "how long attributes are not asked for again (1)",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         TRY(set_seconds(o.session.attribute_timeout, text));
         o.client.attribute_timeout = o.session.attribute_timeout;
         return {};
       }},
      {"entry_timeout", "SECONDS", "the same of names (1)",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         return set_seconds(o.session.entry_timeout, text);
       }},
      {"spin", "MICROSECONDS", "how long a thread looks for more work before it sleeps (50)",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         const std::uint64_t wanted = TRY(parse_number(text));
         o.session.spin = std::chrono::microseconds(wanted);
         return {};
       }},
      {"threads", "N", "requests served at once (64)",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         const std::uint64_t wanted = TRY(parse_number(text));
         o.session.threads_max = static_cast<unsigned>(std::min<std::uint64_t>(wanted, 1U << 30));
         o.session.threads_min = std::min(o.session.threads_min, o.session.threads_max);
         return {};
       }},
      flag("local_reads", "read the files of a storage server on this machine; the default",
           [](auto& o) { o.local_reads = true; }),
      flag("no_local_reads", "have it send everything",
           [](auto& o) { o.local_reads = false; }),
      flag("supervised", "go on when the process that serves the mount is killed; the default",
           [](auto& o) { o.supervised = true; }),
      flag("unsupervised", "end with it", [](auto& o) { o.supervised = false; }),
      flag("leases", "see at once what other mounts do, and keep what is known until then; the default",
           [](auto& o) { o.client.leases = true; }),
      flag("no_leases", "see it within a second",
           [](auto& o) { o.client.leases = false; }),
      {"close", "wait|return", "whether close(2) waits until the servers have what was written (wait)",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         if (text != "wait" && text != "return") return fail(Errc::invalid, "wait or return");
         o.client.close_waits = text == "wait";
         return {};
       }},
      {"journal", "DIR", "what write(2) has taken survives power loss of this machine, in DIR on its disk",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         o.journal = std::filesystem::absolute(text);
         return {};
       }},
      flag("acl", "access control lists are enforced; the default",
           [](auto& o) { o.session.features.access_control_lists = true; }),
      flag("noacl", "they are refused, and those that are there do not count: only modes do",
           [](auto& o) { o.session.features.access_control_lists = false; }),
      flag("relatime",
           "reading moves access times that are older than the change or a day; the default",
           [](auto& o) { o.flags &= ~MS_NOATIME; }),
      flag("noatime", "it moves none", [](auto& o) { o.flags |= MS_NOATIME; }),
      flag("nodiratime", "it moves none of directories", [](auto& o) { o.flags |= MS_NODIRATIME; }),
      flag("async_dio", "direct I/O in parallel, but signals cannot end it",
           [](auto& o) { o.session.features.asynchronous_direct_io = true; }),
      {"log_file", "FILE", "instead of stderr or /var/log/dfs-mount.log",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         o.log.file = text;
         return {};
       }},
      {"log_level", "LEVEL", "debug, info, warn, error or off (info)",
       [](MountOptions& o, std::string_view text) -> Result<void> {
         o.log.level = TRY(parse_log_level(text));
         return {};
       }},
  };
  return table;
}

// What every mount takes, and mount(8) passes on.
struct StandardFlag {
  std::string_view name;
  unsigned long set;
  unsigned long clear;
};
constexpr std::array kStandardFlags = {
    StandardFlag{"nosuid", MS_NOSUID, 0},           StandardFlag{"suid", 0, MS_NOSUID},
    StandardFlag{"nodev", MS_NODEV, 0},             StandardFlag{"dev", 0, MS_NODEV},
    StandardFlag{"noexec", MS_NOEXEC, 0},           StandardFlag{"exec", 0, MS_NOEXEC},
    StandardFlag{"sync", MS_SYNCHRONOUS, 0},        StandardFlag{"async", 0, MS_SYNCHRONOUS},
    StandardFlag{"dirsync", MS_DIRSYNC, 0},         StandardFlag{"atime", 0, MS_NOATIME},
    StandardFlag{"diratime", 0, MS_NODIRATIME},     StandardFlag{"defaults", 0, 0},
};

// For mount(8) and systemd, not for us.
bool is_for_others(std::string_view name) {
  constexpr std::array<std::string_view, 9> kNames = {
      "_netdev", "auto", "noauto", "nofail", "user", "nouser", "users", "owner", "group"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         name.starts_with("x-") || name.starts_with("comment");
}

Result<void> apply_known(const Option& known, MountOptions& options, std::string_view option,
                         std::string_view value, bool has_value) {
  if (known.value.empty() && has_value) {
    return fail(Errc::invalid, fmt::format("option {} takes no value", known.name));
  }
  if (!known.value.empty() && value.empty()) {
    return fail(Errc::invalid, fmt::format("option {} needs a value: {}={}", known.name, known.name,
                                           known.value));
  }
  const Result<void> applied = known.apply(options, value);
  if (applied) return {};
  return fail(Errc::invalid, fmt::format("option {}: {}", option, applied.error().text));
}

Result<void> validate_journal(const std::filesystem::path& directory) {
  if (directory.empty()) return {};
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error))
    return fail(Errc::invalid, fmt::format("option journal: there is no directory {}: make one, on "
                                           "a disk of this machine", directory.string()));
  if (::access(directory.c_str(), R_OK | W_OK | X_OK) != 0)
    return fail_errno(errno, fmt::format("option journal: {} cannot be used", directory.string()));
  return {};
}

}  // namespace

MountOptions::MountOptions() : flags(0), allow_other(::geteuid() == 0) {
  client.leases = true;
  client.close_waits = true;
}

Result<void> apply_option(MountOptions& options, std::string_view option) {
  const std::size_t equals = option.find('=');
  const std::string_view name = option.substr(0, equals);
  const bool has_value = equals != std::string_view::npos;
  const std::string_view value = has_value ? option.substr(equals + 1) : std::string_view{};

  for (const Option& known : known_options()) {
    if (known.name == name) return apply_known(known, options, option, value, has_value);
  }
  for (const StandardFlag& standard : kStandardFlags) {
    if (standard.name != option) continue;
    options.flags = (options.flags | standard.set) & ~standard.clear;
    return {};
  }
  if (option == "strictatime") {
    return fail(Errc::invalid,
                "there is no strictatime here: reads that the kernel answers from its pages are "
                "not seen; relatime is the default");
  }
  if (options.sloppy || is_for_others(name)) return {};
  return fail(Errc::invalid, fmt::format("there is no option {}", name));
}

Result<void> apply_option_list(MountOptions& options, std::string_view list) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view option = list.substr(0, comma);
    if (!option.empty()) {
      TRY(apply_option(options, option));
    }
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return {};
}

Result<void> apply_config_file(MountOptions& options, const std::filesystem::path& path) {
  ConfigFile file = TRY(ConfigFile::load(path, "DFS_MOUNT"));
  SessionConfig& session = options.session;
  ClientConfig& client = options.client;

  bool read_only = (options.flags & MS_RDONLY) != 0;
  TRY(file.read("read_only", read_only));
  options.flags = read_only ? options.flags | MS_RDONLY : options.flags & ~MS_RDONLY;
  bool no_access_times = (options.flags & MS_NOATIME) != 0;
  TRY(file.read("noatime", no_access_times));
  options.flags = no_access_times ? options.flags | MS_NOATIME : options.flags & ~MS_NOATIME;
  TRY(file.read("allow_other", options.allow_other));
  TRY(file.read("cluster", options.cluster));
  TRY(file.read("soft_timeout_ms", client.soft_timeout, milliseconds{0}, kTimeoutMax));

  std::uint64_t write_buffer = client.write_buffer_bytes;
  TRY(file.read_size("write_buffer", write_buffer, 1, 1 * TiB));
  client.write_buffer_bytes = write_buffer;
  std::uint64_t read_cache = client.read_cache_bytes;
  TRY(file.read_size("cache_size", read_cache, 1, 1 * TiB));
  client.read_cache_bytes = read_cache;
  fit_read_ahead(client);
  TRY(file.read("supervised", options.supervised));
  TRY(file.read("local_reads", options.local_reads));
  TRY(file.read("leases", client.leases));
  TRY(file.read("close_waits", client.close_waits));
  std::string journal;
  TRY(file.read("journal", journal));
  if (!journal.empty()) options.journal = std::filesystem::absolute(journal);
  TRY(file.read_size("readahead", session.read_ahead_bytes, 0, 1 * GiB));

  TRY(file.read("attr_timeout_ms", session.attribute_timeout, milliseconds{0}, kTimeoutMax));
  client.attribute_timeout = session.attribute_timeout;
  TRY(file.read("entry_timeout_ms", session.entry_timeout, milliseconds{0}, kTimeoutMax));
  std::uint64_t spin_us = static_cast<std::uint64_t>(session.spin.count());
  TRY(file.read("spin_us", spin_us, 0, 10'000));
  session.spin = std::chrono::microseconds(spin_us);
  TRY(file.read("threads", session.threads_max, 1, 1024));
  TRY(file.read("acl", session.features.access_control_lists));
  session.threads_min = std::min(session.threads_min, session.threads_max);

  std::string log_level;
  TRY(file.read("log_level", log_level));
  if (!log_level.empty()) {
    options.log.level = TRY(parse_log_level(log_level));
  }
  TRY(file.read("log_file", options.log.file));
  TRY(file.read("metrics", options.metrics_address));
  return file.finish();
}

ClientConfig client_config(const MountOptions& options) {
  ClientConfig config = options.client;
  config.access_times = (options.flags & (MS_NOATIME | MS_RDONLY)) == 0;
  config.directory_access_times = (options.flags & MS_NODIRATIME) == 0;
  return config;
}

Result<void> validate(const MountOptions& options) {
  TRY(options.session.validate());
  TRY(options.client.validate());
  TRY(validate_journal(options.journal));
  return {};
}

std::string describe_options() {
  std::string text = "Options (-o, separated by commas):\n";
  for (const Option& option : known_options()) {
    const std::string shown = option.value.empty()
                                  ? std::string(option.name)
                                  : fmt::format("{}={}", option.name, option.value);
    text += fmt::format("  {:<24} {}\n", shown, option.help);
  }
  text += "  and those of every mount: nosuid, nodev, noexec, sync, ...\n";
  return text;
}

}  // namespace dfs::fuse
