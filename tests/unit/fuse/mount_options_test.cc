#include "fuse/mount_options.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <fstream>

#include "fuse/command_line.h"
#include "tests/support/temporary_directory.h"

namespace dfs::fuse {
namespace {

using namespace std::chrono_literals;

MountOptions with(std::string_view list) {
  MountOptions options;
  const auto applied = apply_option_list(options, list);
  EXPECT_TRUE(applied) << applied.error().text;
  return options;
}

std::string complaint_about(std::string_view list) {
  MountOptions options;
  const auto applied = apply_option_list(options, list);
  return applied ? "" : applied.error().text;
}

TEST(MountOptions, NameAJournalThatIsThere) {
  TemporaryDirectory directory;
  const std::string path = directory.path().string();
  EXPECT_TRUE(validate(with("journal=" + path)));
  EXPECT_EQ(with("journal=here").journal, std::filesystem::current_path() / "here");
  const auto missing = validate(with("journal=" + path + "/missing"));
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().text.find("there is no directory " + path), std::string::npos);
}

TEST(MountOptions, AreReadFromOneList) {
  const MountOptions options = with(
      "ro,soft,timeout=2.5,write_buffer=64MiB,cache_size=1GiB,attr_timeout=0.25,entry_timeout=3,"
      "readahead=4MiB,spin=20,threads=7,cluster=c-1,log_level=debug,log_file=/tmp/x");
  EXPECT_TRUE(options.flags & MS_RDONLY);
  EXPECT_EQ(options.client.soft_timeout, 2500ms);
  EXPECT_EQ(options.client.write_buffer_bytes, 64 * MiB);
  EXPECT_EQ(options.client.read_cache_bytes, 1 * GiB);
  EXPECT_EQ(options.session.attribute_timeout, 250ms);
  EXPECT_EQ(options.client.attribute_timeout, 250ms);
  EXPECT_EQ(options.session.entry_timeout, 3s);
  EXPECT_EQ(options.session.read_ahead_bytes, 4 * MiB);
  EXPECT_EQ(options.session.spin, 20us);
  EXPECT_EQ(options.session.threads_max, 7u);
  EXPECT_EQ(options.cluster, "c-1");
  EXPECT_EQ(options.log.level, LogLevel::debug);
  EXPECT_EQ(options.log.file, "/tmp/x");
  EXPECT_TRUE(validate(options));
}

TEST(MountOptions, SayWhetherFilesOfAServerHereAreRead) {
  EXPECT_TRUE(MountOptions().local_reads);
  EXPECT_FALSE(with("no_local_reads").local_reads);
  EXPECT_TRUE(with("no_local_reads,local_reads").local_reads);
}

TEST(MountOptions, SayWhetherAccessControlListsCount) {
  EXPECT_TRUE(MountOptions().session.features.access_control_lists);
  EXPECT_FALSE(with("noacl").session.features.access_control_lists);
  EXPECT_TRUE(with("noacl,acl").session.features.access_control_lists);
}

TEST(MountOptions, SayWhatMovesAccessTimes) {
  const auto told = [](std::string_view list) {
    const ClientConfig config = client_config(with(list));
    return std::pair(config.access_times, config.access_times && config.directory_access_times);
  };
  EXPECT_EQ(told(""), std::pair(true, true));
  EXPECT_EQ(told("noatime,relatime"), std::pair(true, true));
  EXPECT_EQ(told("noatime,nodiratime,atime,diratime"), std::pair(true, true));
  EXPECT_EQ(told("nodiratime"), std::pair(true, false));
  EXPECT_EQ(told("noatime"), std::pair(false, false));
  EXPECT_EQ(told("ro"), std::pair(false, false)) << "nothing can be changed";
  EXPECT_TRUE(with("noatime").flags & MS_NOATIME) << "what /proc/mounts shows";
  EXPECT_NE(complaint_about("strictatime").find("strictatime"), std::string::npos);
}

TEST(MountOptions, OfAHardMountWaitForEver) {
  EXPECT_EQ(MountOptions().client.soft_timeout, 0ms);
  EXPECT_EQ(with("soft").client.soft_timeout, 30s);
  EXPECT_EQ(with("soft,hard").client.soft_timeout, 0ms);
}

TEST(MountOptions, OfFstabArePassedOver) {
  const MountOptions options =
      with("rw,noauto,_netdev,nofail,x-systemd.automount,user,defaults,nosuid,nodev,suid");
  EXPECT_EQ(options.flags & (MS_NOSUID | MS_NODEV | MS_RDONLY), static_cast<unsigned>(MS_NODEV));
}

TEST(MountOptions, ThatNobodyKnowsAreNamed) {
  EXPECT_EQ(complaint_about("ro,frobnicate"), "there is no option frobnicate");
  EXPECT_EQ(complaint_about("frobnicate=1"), "there is no option frobnicate");
  MountOptions sloppy;
  sloppy.sloppy = true;
  EXPECT_TRUE(apply_option_list(sloppy, "frobnicate=1,ro"));
}

TEST(MountOptions, WithWrongValuesAreNamed) {
  for (const std::string list : {"timeout=soon", "timeout=-1", "timeout=", "timeout", "ro=1",
                                 "write_buffer=lots", "spin=-5", "threads=many",
                                 "log_level=loud", "attr_timeout=nan", "attr_timeout=1e99"}) {
    const std::string name = list.substr(0, list.find('='));
    EXPECT_NE(complaint_about(list).find(name), std::string::npos) << list;
  }
  for (const std::string list : {"threads=0", "spin=99999", "write_buffer=1", "readahead=8GiB"}) {
    EXPECT_FALSE(validate(with(list))) << list;
  }
}

TEST(MountOptions, OfASmallCacheStillFitTheReadAhead) {
  EXPECT_TRUE(validate(with("cache_size=8MiB")));
  EXPECT_EQ(with("cache_size=8MiB").client.read_ahead_bytes_max, 2 * MiB);
}

TEST(MountOptions, AreReadFromAFile) {
  const TemporaryDirectory place;
  const auto file = place.path() / "mount.toml";
  std::ofstream(file) << "read_only = true\nnoatime = true\nsoft_timeout_ms = 4000\nwrite_buffer = \"32MiB\"\n"
                         "attr_timeout_ms = 500\nspin_us = 0\nthreads = 3\nlog_level = \"warn\"\n";
  MountOptions options;
  const auto applied = apply_config_file(options, file);
  ASSERT_TRUE(applied) << applied.error().text;
  EXPECT_TRUE(options.flags & MS_RDONLY);
  EXPECT_TRUE(options.flags & MS_NOATIME);
  EXPECT_EQ(options.client.soft_timeout, 4s);
  EXPECT_EQ(options.client.write_buffer_bytes, 32 * MiB);
  EXPECT_EQ(options.session.attribute_timeout, 500ms);
  EXPECT_EQ(options.session.spin, 0us);
  EXPECT_EQ(options.session.threads_max, 3u);
  EXPECT_EQ(options.log.level, LogLevel::warn);

  std::ofstream(file) << "colour = 1\n";
  MountOptions others;
  EXPECT_NE(apply_config_file(others, file).error().text.find("colour"), std::string::npos);
}

std::variant<MountOptions, int> parse(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return parse_command_line(static_cast<int>(argv.size()), argv.data());
}

TEST(CommandLine, IsReadAsDfsMount) {
  const auto parsed = parse({"/usr/bin/dfs-mount", "127.0.0.1:7300", "/mnt", "-f", "-o",
                             "ro,threads=5", "-o", "spin=0", "--ready-fd", "9", "--metrics",
                             "127.0.0.1:1", "--log-level", "error"});
  const auto* options = std::get_if<MountOptions>(&parsed);
  ASSERT_NE(options, nullptr);
  EXPECT_EQ(options->server, "127.0.0.1:7300");
  EXPECT_EQ(options->mount_point, "/mnt");
  EXPECT_TRUE(options->foreground);
  EXPECT_EQ(options->session.threads_max, 5u);
  EXPECT_EQ(options->session.spin, 0us);
  EXPECT_EQ(options->ready_fd, 9);
  EXPECT_EQ(options->metrics_address, "127.0.0.1:1");
  EXPECT_EQ(options->log.level, LogLevel::error);
}

TEST(CommandLine, IsReadAsMountCallsAHelper) {
  const auto parsed = parse({"/sbin/mount.dfs", "127.0.0.1:7300", "/mnt", "-s", "-f", "-n", "-v",
                             "-o", "rw,noauto,unknown", "-t", "dfs"});
  const auto* options = std::get_if<MountOptions>(&parsed);
  ASSERT_NE(options, nullptr);
  EXPECT_TRUE(options->pretend);
  EXPECT_TRUE(options->sloppy);
  EXPECT_FALSE(options->foreground);
}

TEST(CommandLine, WithMistakesEndsWithOneLine) {
  for (const auto& [words, named] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"dfs-mount", "127.0.0.1:1"}, "MOUNTPOINT"},
           {{"dfs-mount", "nonsense", "/mnt"}, "nonsense"},
           {{"dfs-mount", "127.0.0.1:1", "/mnt", "--frobnicate"}, "frobnicate"},
           {{"dfs-mount", "127.0.0.1:1", "/mnt", "-o", "frobnicate"}, "frobnicate"},
           {{"dfs-mount", "127.0.0.1:1", "/mnt", "--config", "/none.toml"}, "none.toml"},
           {{"dfs-mount", "127.0.0.1:1", "/mnt", "--ready-fd", "-2"}, "ready-fd"}}) {
    ::testing::internal::CaptureStderr();
    const auto parsed = parse(words);
    const std::string said = ::testing::internal::GetCapturedStderr();
    const int* status = std::get_if<int>(&parsed);
    ASSERT_NE(status, nullptr) << named;
    EXPECT_EQ(*status, 1);
    EXPECT_NE(said.find(named), std::string::npos) << said;
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  }
}

TEST(CommandLine, ExplainsItself) {
  ::testing::internal::CaptureStdout();
  const auto parsed = parse({"dfs-mount", "--help"});
  const std::string said = ::testing::internal::GetCapturedStdout();
  EXPECT_EQ(std::get<int>(parsed), 0);
  for (const char* word : {"--log-file", "write_buffer=SIZE", "soft"}) {
    EXPECT_NE(said.find(word), std::string::npos) << word;
  }
}

}  // namespace
}  // namespace dfs::fuse
