#include "tests/unit/fuse/mounted.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "common/base/clock.h"

namespace dfs::fuse {
namespace {

// What kept the process from getting a mount namespace of its own.
std::string namespace_problem;

class OwnMountNamespace : public ::testing::Environment {
 public:
  void SetUp() override {
    if (::unshare(CLONE_NEWNS) != 0) {
      namespace_problem = std::string("unshare: ") + std::strerror(errno);
    } else if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      namespace_problem = std::string("making mounts private: ") + std::strerror(errno);
    }
  }
};

[[maybe_unused]] ::testing::Environment* const environment =
    ::testing::AddGlobalTestEnvironment(new OwnMountNamespace);

}  // namespace

void Mounted::SetUp() {
  ASSERT_EQ(namespace_problem, "") << "these tests mount: they need root";
  ASSERT_EQ(::access("/dev/fuse", R_OK | W_OK), 0) << "these tests mount: they need /dev/fuse";
}

void Mounted::TearDown() {
  files_.obstacles().block_reads(false);
  unmount();
  // Whatever a test left: nothing stays, and removing the directory cannot hang.
  ::umount2(directory().c_str(), MNT_DETACH);
}

void Mounted::mount(const SessionConfig& config) {
  MountPoint::Options options;
  options.directory = directory();
  options.source = "memory";
  auto mounted = MountPoint::mount(options);
  ASSERT_TRUE(mounted) << mounted.error().to_string();
  point_.emplace(*std::move(mounted));
  auto memory = MountMemory::create();
  ASSERT_TRUE(memory) << memory.error().to_string();
  memory_ = *std::move(memory);
  auto created =
      Session::create(config, point_->take_device(), files_, SystemClock::instance(), *memory_);
  ASSERT_TRUE(created) << created.error().to_string();
  session_ = *std::move(created);
  session_->start();
}

void Mounted::unmount() {
  if (point_) point_->unmount();
  point_.reset();
  if (session_) session_->interrupt_all();
  session_.reset();
}

void Mounted::kill_session() {
  session_->stop();
  session_.reset();
}

int write_text(const std::filesystem::path& file, const std::string& text) {
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644));
  if (!fd) return errno;
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return errno;
  }
  return 0;
}

std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

struct stat status_of(const std::filesystem::path& file) {
  struct stat status {};
  EXPECT_EQ(::lstat(file.c_str(), &status), 0) << file << ": " << std::strerror(errno);
  return status;
}

int errno_of_stat(const std::filesystem::path& file) {
  struct stat status {};
  return ::lstat(file.c_str(), &status) == 0 ? 0 : errno;
}

std::string random_bytes(std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string bytes(count, '\0');
  for (std::size_t at = 0; at < count; at += sizeof(std::uint64_t)) {
    const std::uint64_t next = random();
    std::memcpy(bytes.data() + at, &next, std::min(sizeof next, count - at));
  }
  return bytes;
}

int as_ordinary_user(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool changed =
        ::setgroups(0, nullptr) == 0 && ::setgid(kSomebody) == 0 && ::setuid(kSomebody) == 0;
    ::_exit(changed ? work() : 255);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WEXITSTATUS(status);
}

}  // namespace dfs::fuse
