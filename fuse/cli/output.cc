#include "fuse/cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/base/ids.h"
#include "common/rpc/consistency.h"

namespace dfs::cli {

namespace {

// Bytes that do not start a UTF-8 sequence's tail: what a terminal shows as one column.
std::size_t shown_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U;
  }));
}

}  // namespace

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(shown_width(column.title));
  for (const auto& row : rows_) {
    for (std::size_t at = 0; at < widths.size(); ++at)
      widths[at] = std::max(widths[at], shown_width(row[at]));
  }

  std::string out;
  const auto append = [&](std::size_t at, const std::string& cell) {
    const std::string gap(widths[at] - shown_width(cell), ' ');
    const bool last = at + 1 == columns_.size();
    if (columns_[at].align == Align::right) out += gap;
    out += cell;
    if (last) {
      out += '\n';
      return;
    }
    if (columns_[at].align == Align::left) out += gap;
    out += "  ";
  };
  for (std::size_t at = 0; at < columns_.size(); ++at) append(at, columns_[at].title);
  for (const auto& row : rows_) {
    for (std::size_t at = 0; at < columns_.size(); ++at) append(at, row[at]);
  }
  return out;
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_line(std::string_view text) {
  print(text);
  print("\n");
}

void print_json(const nlohmann::json& value) {
  print_line(value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

Result<void> finish_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    return fail(Errc::io, "what was printed could not be written to the standard output");
  return {};
}

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char byte : text) {
    const auto value = static_cast<unsigned char>(byte);
    if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (value < 0x20 || value == 0x7f) {
      out += fmt::format("\\x{:02x}", value);
    } else {
      out += byte;
    }
  }
  return out;
}

std::string one_line(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  std::string out;
  for (const char byte : text) {
    if (byte == '\n') {
      out += "; ";
    } else {
      out += byte;
    }
  }
  return escaped(out);
}

bool is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

std::string format_time(WallNanos time) {
  const std::time_t seconds = time / 1'000'000'000;
  std::tm parts{};
  if (::localtime_r(&seconds, &parts) == nullptr) return fmt::format("{} s", seconds);
  char text[64];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return {text, length};
}

std::string format_duration(std::int64_t seconds) {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  if (seconds < 0) return "0 s";
  if (seconds < kMinute) return fmt::format("{} s", seconds);
  if (seconds < kHour) return fmt::format("{} min {} s", seconds / kMinute, seconds % kMinute);
  if (seconds < kDay)
    return fmt::format("{} h {} min", seconds / kHour, seconds % kHour / kMinute);
  return fmt::format("{} d {} h", seconds / kDay, seconds % kDay / kHour);
}

std::string_view name_of(FileType type) {
  switch (type) {
    case FileType::regular: return "file";
    case FileType::directory: return "directory";
    case FileType::symlink: return "symlink";
    case FileType::fifo: return "fifo";
    case FileType::socket: return "socket";
    case FileType::character_device: return "character device";
    case FileType::block_device: return "block device";
  }
  return "unknown";
}

std::string_view name_of(MemberState state) {
  switch (state) {
    case MemberState::active: return "active";
    case MemberState::joining: return "joining";
    case MemberState::leaving: return "leaving";
  }
  return "unknown";
}

std::string format_mode(FileType type, std::uint32_t mode) {
  constexpr std::string_view kTypes = "?-dlpscb";
  std::string text = "?rwxrwxrwx";
  text[0] = kTypes[static_cast<std::size_t>(type) < kTypes.size() ? static_cast<std::size_t>(type) : 0];
  for (unsigned bit = 0; bit < 9; ++bit) {
    if ((mode & (0400U >> bit)) == 0) text[bit + 1] = '-';
  }
  const auto mark = [&](std::uint32_t flag, std::size_t at, char with, char without) {
    if ((mode & flag) != 0) text[at] = text[at] == 'x' ? with : without;
  };
  mark(04000, 3, 's', 'S');
  mark(02000, 6, 's', 'S');
  mark(01000, 9, 't', 'T');
  return text;
}

nlohmann::json to_json(const Attributes& attributes) {
  return {{"inode", attributes.inode.value()},
          {"generation", attributes.generation},
          {"type", name_of(attributes.type)},
          {"mode", fmt::format("{:04o}", attributes.mode)},
          {"uid", attributes.uid},
          {"gid", attributes.gid},
          {"links", attributes.nlink},
          {"size", attributes.size},
          {"allocated", attributes.allocated},
          {"device", attributes.rdev},
          {"chunk_size", attributes.chunk_size},
          {"consistency", name_of(attributes.consistency)},
          {"atime_ns", attributes.atime},
          {"mtime_ns", attributes.mtime},
          {"ctime_ns", attributes.ctime},
          {"btime_ns", attributes.btime}};
}

}  // namespace dfs::cli
