#include "fuse/cli/remote_path.h"

#include <deque>

#include <fmt/format.h>

namespace dfs::cli {

namespace {

constexpr std::size_t kPathMax = 4095;
constexpr int kLinksMax = 40;  // what Linux follows in one path

class Walk {
 public:
  Walk(FileSystem& files, const CallContext& context) : files_(files), context_(context) {}

  Result<Attributes> to(const std::vector<std::string>& names, LastLink last_link) {
    Attributes root = TRY(files_.get_attributes(kRootInode, context_));
    Attributes here = root;
    std::deque<std::string> left(names.begin(), names.end());
    int links = 0;
    while (!left.empty()) {
      const std::string name = std::move(left.front());
      left.pop_front();
      if (here.type != FileType::directory) return fail(Errc::not_directory, "before " + name);
      const Attributes next = TRY(files_.lookup(here.inode, name, context_));
      const bool follow = next.type == FileType::symlink &&
                          (!left.empty() || last_link == LastLink::follow);
      if (!follow) {
        here = next;
        continue;
      }
      if (++links > kLinksMax) return fail(Errc::loop, "too many links");
      const std::string target = TRY(files_.read_symlink(next.inode, context_));
      if (target.starts_with('/')) here = root;
      const std::vector<std::string> target_names = TRY(split_path(target));
      left.insert(left.begin(), target_names.begin(), target_names.end());
    }
    return here;
  }

 private:
  FileSystem& files_;
  const CallContext& context_;
};

}  // namespace

Error about(std::string_view path, Error error) {
  error.text = error.text.empty() ? std::string(path) : fmt::format("{}: {}", path, error.text);
  return error;
}

Result<std::vector<std::string>> split_path(std::string_view path) {
  if (path.size() > kPathMax)
    return fail(Errc::name_too_long, fmt::format("a path of {} bytes; {} is the limit", path.size(), kPathMax));
  std::vector<std::string> names;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end > kNameMax)
      return fail(Errc::name_too_long, fmt::format("a name of {} bytes; {} is the limit", end, kNameMax));
    if (end > 0) names.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return names;
}

std::string join_path(std::string_view directory, std::string_view name) {
  std::string whole(directory);
  if (whole.empty() || whole.back() != '/') whole += '/';
  whole += name;
  return whole;
}

Result<Attributes> resolve(FileSystem& files, const CallContext& context, std::string_view path,
                           LastLink last_link) {
  const auto names = TRY(split_path(path));
  // "link/" is what the link points to.
  if (path.ends_with('/')) last_link = LastLink::follow;
  auto found = Walk(files, context).to(names, last_link);
  if (!found) return fail(about(path, std::move(found).error()));
  if (path.ends_with('/') && found->type != FileType::directory)
    return fail(Errc::not_directory, std::string(path));
  return found;
}

Result<Place> resolve_place(FileSystem& files, const CallContext& context, std::string_view path) {
  auto names = TRY(split_path(path));
  if (names.empty() || names.back() == "." || names.back() == "..")
    return fail(Errc::invalid, fmt::format("{}: names no entry of a directory", path));
  Place place;
  place.name = std::move(names.back());
  names.pop_back();
  auto parent = Walk(files, context).to(names, LastLink::follow);
  if (!parent) return fail(about(path, std::move(parent).error()));
  if (parent->type != FileType::directory) return fail(Errc::not_directory, std::string(path));
  place.parent = *parent;
  return place;
}

Result<void> for_each_entry(FileSystem& files, const CallContext& context, InodeId directory,
                            const VisitEntry& visit) {
  constexpr std::uint32_t kPage = 1024;
  std::uint64_t cookie = 0;
  for (;;) {
    const ReadDirResult page = TRY(files.read_directory(directory, cookie, kPage, context));
    for (const Entry& entry : page.entries) TRY(visit(entry));
    if (page.end || page.entries.empty()) return {};
    cookie = page.entries.back().cookie;
  }
}

}  // namespace dfs::cli
