// What `dfs` prints: tables, sizes, times, names and JSON.
//
// Facts go to stdout, progress and complaints to stderr. Names are bytes: on a
// terminal, and in tables, control characters are shown escaped; in JSON, what
// is not UTF-8 becomes U+FFFD.
// Threads: main's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/rpc/types.h"

namespace dfs::cli {

// Columns as wide as their widest cell, two spaces apart.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns.
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  // Ends with a line feed.
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

void print(std::string_view text);
void print_line(std::string_view text);
void print_json(const nlohmann::json& value);
// `io` if something printed did not arrive, such as on a full disk.
Result<void> finish_output();

// `text` with line feeds and other control characters as \n, \t, \x1b.
std::string escaped(std::string_view text);
// Several lines as one, joined by "; ".
std::string one_line(std::string_view text);
bool is_terminal(int descriptor);

// "2024-05-01 12:30:00" in the local time zone.
std::string format_time(WallNanos time);
// "2 days", "3 h 20 min", "12 s"
std::string format_duration(std::int64_t seconds);
// "drwxr-xr-x"
std::string format_mode(FileType type, std::uint32_t mode);
std::string_view name_of(FileType type);
std::string_view name_of(MemberState state);

// stat(2) in JSON.
nlohmann::json to_json(const Attributes& attributes);

}  // namespace dfs::cli
