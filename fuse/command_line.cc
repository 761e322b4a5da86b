#include "fuse/command_line.h"

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "common/base/address.h"
#include "common/base/process.h"

namespace dfs::fuse {
namespace {

constexpr const char* kMountHelperName = "mount.dfs";

// What was said, before it is put together.
struct Words {
  std::string server;
  std::string mount_point;
  std::vector<std::string> option_lists;
  std::string config_file;
  std::string log_level;
  std::string log_file;
  std::string log_format = "text";
};

void add_common(CLI::App& app, Words& words) {
  app.add_option("SERVER", words.server, "HOST:PORT of the metadata server")->required();
  app.add_option("MOUNTPOINT", words.mount_point, "an existing directory")->required();
  app.add_option("-o", words.option_lists, "options, separated by commas; see below")
      ->expected(1)
      ->take_all();
}

void add_flags(CLI::App& app, Words& words, MountOptions& options) {
  app.add_flag("-f,--foreground", options.foreground, "stay in the foreground");
  app.add_option("--config", words.config_file, "settings, a TOML file");
  app.add_option("--log-level", words.log_level, "debug, info, warn, error or off");
  app.add_option("--log-file", words.log_file, "log to this file, rotated");
  app.add_option("--log-format", words.log_format, "text, or json: one object a line")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_option("--metrics", options.metrics_address,
                 "serve Prometheus metrics at http://HOST:PORT/metrics");
  app.add_option("--ready-fd", options.ready_fd,
                 "write \"ready\" to this descriptor once the mount answers")
      ->check(CLI::Range(0, 1 << 20));
  app.set_version_flag("--version", "dfs-mount " + version());
  app.footer(describe_options() +
             "\nIt returns when the mount answers. End it with: umount MOUNTPOINT");
}

// mount(8): mount.dfs SPEC DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]
struct HelperWords {
  bool no_mtab = false;
  bool verbose = false;
  std::string name_space;
  std::string type;
};

void add_helper_flags(CLI::App& app, HelperWords& words, MountOptions& options) {
  app.add_flag("-s", options.sloppy, "pass over unknown options");
  app.add_flag("-f", options.pretend, "do everything but mount");
  app.add_flag("-n", words.no_mtab, "has no meaning here");
  app.add_flag("-v", words.verbose, "has no meaning here");
  app.add_option("-N", words.name_space, "has no meaning here");
  app.add_option("-t", words.type, "has no meaning here");
  app.set_version_flag("--version", "dfs-mount " + version());
  app.footer(describe_options());
}

Result<void> put_together(const Words& words, MountOptions& options) {
  TRY(parse_address(words.server));
  options.server = words.server;
  options.mount_point = words.mount_point;
  TRY(apply_config_file(options, words.config_file));
  for (const std::string& list : words.option_lists) {
    TRY(apply_option_list(options, list));
  }
  if (!words.log_level.empty()) {
    options.log.level = TRY(parse_log_level(words.log_level));
  }
  if (!words.log_file.empty()) options.log.file = words.log_file;
  options.log.json = words.log_format == "json";
  return validate(options);
}

int complain(const std::string& text) {
  std::fprintf(stderr, "dfs-mount: %s\n", text.c_str());
  return EXIT_FAILURE;
}

}  // namespace

std::variant<MountOptions, int> parse_command_line(int argc, char** argv) {
  const bool is_helper =
      argc > 0 && std::filesystem::path(argv[0]).filename() == kMountHelperName;
  CLI::App app("Mounts a dfs file system.", is_helper ? kMountHelperName : "dfs-mount");
  MountOptions options;
  Words words;
  HelperWords helper_words;
  add_common(app, words);
  if (is_helper) {
    add_helper_flags(app, helper_words, options);
  } else {
    add_flags(app, words, options);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return complain(std::string(error.what()) + " (--help tells what there is)");
  }
  if (auto together = put_together(words, options); !together) {
    return complain(together.error().text);
  }
  return options;
}

}  // namespace dfs::fuse
