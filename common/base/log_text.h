// Text from anywhere, made safe for one line of a log: names on a file system
// may hold newlines, terminal codes and bytes that are not UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace dfs {

// Appends `text` with control characters written as \n, \x1b and the like.
void append_one_line(std::string& line, std::string_view text);

// Appends `text` as the inside of a JSON string. What is not UTF-8 becomes
// U+FFFD.
void append_json_text(std::string& line, std::string_view text);

}  // namespace dfs
