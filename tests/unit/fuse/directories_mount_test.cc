// Listings through a real mount.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>

#include "tests/unit/fuse/mounted.h"

namespace dfs::fuse {
namespace {

class Listings : public Mounted {
 protected:
  void SetUp() override {
    Mounted::SetUp();
    if (!HasFatalFailure()) mount();
  }
  // The names made: "0" to "count - 1".
  void make_files(int count) {
    for (int number = 0; number < count; ++number) {
      const std::string file = path(std::to_string(number));
      ASSERT_EQ(::mknod(file.c_str(), S_IFREG | 0644, 0), 0);
    }
  }
};

struct DirCloser {
  void operator()(DIR* stream) const { ::closedir(stream); }
};
using Dir = std::unique_ptr<DIR, DirCloser>;

Dir open_directory(const std::filesystem::path& directory) {
  return Dir(::opendir(directory.c_str()));
}

// Every name, and how often it was listed.
std::map<std::string, int> rest_of(DIR* stream) {
  std::map<std::string, int> names;
  while (const dirent* entry = ::readdir(stream)) ++names[entry->d_name];
  return names;
}

TEST_F(Listings, HoldEveryNameOnceAndTheDots) {
  make_files(3000);
  const Dir stream = open_directory(directory());
  const auto names = rest_of(stream.get());
  EXPECT_EQ(names.size(), 3002u);
  for (const auto& [name, times] : names) EXPECT_EQ(times, 1) << name;
  EXPECT_TRUE(names.contains("."));
  EXPECT_TRUE(names.contains(".."));
}

TEST_F(Listings, GiveTheDotsTheirInodes) {
  ASSERT_EQ(::mkdir(path("inner").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir(path("inner/most").c_str(), 0755), 0);
  const Dir stream = open_directory(path("inner"));
  std::map<std::string, ino_t> inodes;
  while (const dirent* entry = ::readdir(stream.get())) inodes[entry->d_name] = entry->d_ino;
  EXPECT_EQ(inodes.at("."), status_of(path("inner")).st_ino);
  EXPECT_EQ(inodes.at(".."), status_of(directory()).st_ino);
  EXPECT_EQ(inodes.at("most"), status_of(path("inner/most")).st_ino);
  EXPECT_EQ(status_of(path("inner/most/..")).st_ino, status_of(path("inner")).st_ino);
}

TEST_F(Listings, NeitherMissNorRepeatNamesThatStayWhileOthersComeAndGo) {
  make_files(2000);
  const Dir stream = open_directory(directory());
  std::map<std::string, int> seen;
  int count = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    ++seen[entry->d_name];
    if (++count % 10 != 0) continue;
    // A name that was listed goes, and one that nobody waits for comes.
    ::unlink(path(entry->d_name).c_str());
    ASSERT_EQ(write_text(path("new-" + std::to_string(count)), ""), 0);
    ASSERT_LT(count, 10'000);
  }
  for (int number = 0; number < 2000; ++number) {
    EXPECT_EQ(seen[std::to_string(number)], 1) << number;
  }
}

TEST_F(Listings, GoOnWhereTelldirSaid) {
  make_files(1000);
  const Dir stream = open_directory(directory());
  std::vector<std::pair<long, std::string>> places;
  for (long place = ::telldir(stream.get()); const dirent* entry = ::readdir(stream.get());
       place = ::telldir(stream.get())) {
    places.emplace_back(place, entry->d_name);
  }
  ASSERT_EQ(places.size(), 1002u);
  for (const std::size_t index : {std::size_t{777}, std::size_t{3}, std::size_t{0},
                                  std::size_t{1}, std::size_t{2}, std::size_t{1001}}) {
    ::seekdir(stream.get(), places[index].first);
    const dirent* entry = ::readdir(stream.get());
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->d_name, places[index].second);
  }
  ::rewinddir(stream.get());
  EXPECT_EQ(rest_of(stream.get()).size(), 1002u);
}

TEST_F(Listings, ShowNewNamesAfterRewinding) {
  make_files(3);
  const Dir stream = open_directory(directory());
  EXPECT_EQ(rest_of(stream.get()).size(), 5u);
  ASSERT_EQ(write_text(path("later"), ""), 0);
  ::rewinddir(stream.get());
  EXPECT_TRUE(rest_of(stream.get()).contains("later"));
}

// Attributes in a page that was fetched before a change would become the
// kernel's view of the file after it. Names this long do not all fit into the
// kernel's buffer, so that a part of the first page is left over.
TEST_F(Listings, DoNotBringBackAttributesFromBeforeAChange) {
  const auto long_name = [&](int number) {
    return path(std::to_string(number) + std::string(200, '-'));
  };
  constexpr int kFiles = 400;
  for (int number = 0; number < kFiles; ++number) {
    ASSERT_EQ(::mknod(long_name(number).c_str(), S_IFREG | 0644, 0), 0);
  }
  const Dir stream = open_directory(directory());
  ASSERT_NE(::readdir(stream.get()), nullptr);
  for (int number = 0; number < kFiles; ++number) {
    if (number % 2 == 0) {
      ASSERT_EQ(write_text(long_name(number), "longer now"), 0);
    } else {
      ASSERT_EQ(::unlink(long_name(number).c_str()), 0);
    }
  }
  rest_of(stream.get());
  for (int number = 0; number < kFiles; ++number) {
    if (number % 2 == 0) {
      EXPECT_EQ(status_of(long_name(number)).st_size, 10) << number;
    } else {
      EXPECT_EQ(errno_of_stat(long_name(number)), ENOENT) << number;
    }
  }
}

TEST_F(Listings, BringAttributesSoThatLongListingsAskOnce) {
  make_files(500);
  unmount();
  mount();
  const auto lookups_before = files_.counts().lookups;
  int listed = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory())) {
    status_of(entry.path());
    ++listed;
  }
  EXPECT_EQ(listed, 500);
  EXPECT_LT(files_.counts().lookups - lookups_before, 50u);
}

TEST_F(Listings, OfARemovedDirectoryAreEmpty) {
  ASSERT_EQ(::mkdir(path("gone").c_str(), 0755), 0);
  const Dir stream = open_directory(path("gone"));
  ASSERT_EQ(::rmdir(path("gone").c_str()), 0);
  EXPECT_EQ(rest_of(stream.get()).size(), 0u);
}

TEST_F(Listings, AreSyncedWhenAsked) {
  const UniqueFd fd(::open(directory().c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(::fsync(fd.get()), 0);
}

}  // namespace
}  // namespace dfs::fuse
