#include "tests/model/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <set>

#include <fmt/format.h>

namespace dfs::model {
namespace {

std::string attributes_of(const std::string& path) {
  std::string names(8192, '\0');
  const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
  if (length < 0) return fmt::format(" attributes: {}", ::strerrorname_np(errno));
  std::map<std::string, std::size_t> found;
  for (std::size_t at = 0; at < static_cast<std::size_t>(length); at += std::strlen(names.c_str() + at) + 1) {
    std::string value(8192, '\0');
    const ssize_t size = ::lgetxattr(path.c_str(), names.c_str() + at, value.data(), value.size());
    value.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    found[names.c_str() + at] = std::hash<std::string>{}(value);
  }
  std::string text;
  for (const auto& [name, hash] : found) text += fmt::format(" {}={:x}", name, hash);
  return text;
}

std::string contents_of(const std::string& path, std::uint64_t size) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fmt::format(" cannot be opened: {}", ::strerrorname_np(errno));
  const Outcome read = read_fully(fd.get(), 0, size + 1);
  if (read.value < 0) return fmt::format(" cannot be read: {}", ::strerrorname_np(read.error));
  return fmt::format(" holds {} bytes, {:x}", read.bytes.size(), std::hash<std::string>{}(read.bytes));
}

}  // namespace

Tree tree_of(const Side& side) {
  Tree tree;
  std::map<ino_t, std::string> first_names;
  const std::string top = side.path("");
  std::set<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           top, std::filesystem::directory_options::skip_permission_denied)) {
    paths.insert(entry.path().lexically_relative(top).string());
  }
  for (const std::string& path : paths) {
    const std::string whole = side.path(path);
    struct stat found {};
    if (::lstat(whole.c_str(), &found) != 0) {
      tree[path] = fmt::format("lstat: {}", ::strerrorname_np(errno));
      continue;
    }
    const bool directory = S_ISDIR(found.st_mode);
    std::string text = fmt::format("mode 0{:o} links {} owner {}:{} size {}", found.st_mode, found.st_nlink,
                                   found.st_uid, found.st_gid, directory ? 0 : found.st_size);
    if (!directory) text += fmt::format(" is {:?}", first_names.emplace(found.st_ino, path).first->second);
    if (S_ISLNK(found.st_mode)) text += " -> " + std::filesystem::read_symlink(whole).string();
    if (S_ISREG(found.st_mode)) text += contents_of(whole, static_cast<std::uint64_t>(found.st_size));
    tree[path] = text + attributes_of(whole);
  }
  return tree;
}

std::string first_difference(const Tree& reference, const Tree& mount) {
  for (const auto& [path, text] : reference) {
    const auto other = mount.find(path);
    if (other == mount.end()) return fmt::format("{:?} is missing on the mount; the reference: {}", path, text);
    if (other->second != text)
      return fmt::format("{:?} differs\n  reference: {}\n  mount:     {}", path, text, other->second);
  }
  for (const auto& [path, text] : mount) {
    if (!reference.contains(path)) return fmt::format("{:?} is only on the mount: {}", path, text);
  }
  return {};
}

}  // namespace dfs::model
