// A real mount of a file system in memory, for one test.
//
// The tests' process has a mount namespace of its own: whatever happens to it,
// no mount is left behind on the machine.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "fuse/mount_point.h"
#include "fuse/session.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/temporary_directory.h"

namespace dfs::fuse {

class Mounted : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  void mount(const SessionConfig& config);
  void mount() { mount(SessionConfig{}); }
  // Unmounts and waits for the session's end.
  void unmount();
  // The session dies; the mount stays.
  void kill_session();

  std::filesystem::path path(const std::string& name) const { return directory() / name; }
  std::filesystem::path directory() const { return place_.path(); }
  Session& session() { return *session_; }
  MountPoint& point() { return *point_; }

  MemoryFileSystem files_;

 private:
  TemporaryDirectory place_;
  std::optional<MountPoint> point_;
  std::unique_ptr<MountMemory> memory_;
  std::unique_ptr<Session> session_;
};

// --- calls, with errno as the result: 0 or what went wrong ---

int write_text(const std::filesystem::path& file, const std::string& text);
std::string read_text(const std::filesystem::path& file);
struct stat status_of(const std::filesystem::path& file);
int errno_of_stat(const std::filesystem::path& file);
std::string random_bytes(std::size_t count, unsigned seed);
inline int errno_of(int result) { return result == 0 ? 0 : errno; }

// What `work` returns when it runs as an ordinary user, alone in a group of the
// same number.
inline constexpr uid_t kSomebody = 12345;
int as_ordinary_user(const std::function<int()>& work);

}  // namespace dfs::fuse
