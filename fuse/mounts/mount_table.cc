#include "fuse/mounts/mount_table.h"

#include <fmt/format.h>
#include <fstream>
#include <sstream>

namespace dfs::fuse {
namespace {

// "\040" -> " ": how the kernel writes blanks, tabs, newlines and backslashes.
std::string unescape(const std::string& text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 3 < text.size() && octal(text[at + 1]) && octal(text[at + 2]) &&
        octal(text[at + 3])) {
      plain += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 +
                                 (text[at + 3] - '0'));
      at += 3;
    } else {
      plain += text[at];
    }
  }
  return plain;
}

}  // namespace

std::vector<MountedHere> mounts() {
  std::vector<MountedHere> found;
  std::ifstream table("/proc/self/mountinfo");
  // 36 35 98:0 /root /mount/point options [optional fields] - type source options
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, point, word;
    words >> id >> parent >> device >> root >> point;
    while (words >> word && word != "-") {
    }
    std::string type, source;
    words >> type >> source;
    found.push_back({unescape(point), type, unescape(source), device});
  }
  return found;
}

std::optional<MountedHere> mounted_at(const std::filesystem::path& directory) {
  std::optional<MountedHere> topmost;
  for (MountedHere& each : mounts())
    if (each.directory == directory) topmost = std::move(each);
  return topmost;
}

void cut_off(const MountedHere& mount) {
  const std::size_t colon = mount.device.find(':');
  if (!mount.type.starts_with("fuse") || colon == std::string::npos) return;
  std::ofstream(fmt::format("/sys/fs/fuse/connections/{}/abort", mount.device.substr(colon + 1)))
      << '1';
}

}  // namespace dfs::fuse
