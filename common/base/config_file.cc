#include "common/base/config_file.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "common/base/ids.h"
#include "common/base/log.h"

namespace dfs {
namespace {

// A configuration file larger than this is something else given by mistake.
constexpr std::uint64_t kFileBytesMax = 1 * MiB;

Result<std::string> read_whole(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return fail(Errc::is_directory, path.string() + " is a directory, not a configuration file");
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno(errno, "opening " + path.string());
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return fail(Errc::io, "reading " + path.string() + " failed");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax)
    return fail(Errc::too_big, path.string() + " is larger than a configuration file may be, " +
                                   format_size(kFileBytesMax));
  return text;
}

std::string upper_with_underscores(std::string_view key) {
  std::string name;
  for (const char letter : key) {
    name.push_back(letter == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(letter))));
  }
  return name;
}

// What was found, for people: "5", "\"abc\"", "a table".
std::string shown(const toml::node& node) {
  constexpr std::size_t kShownMax = 80;
  if (node.is_table()) return "a table";
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  std::string all = text.str();
  if (all.size() > kShownMax) all = all.substr(0, kShownMax) + "...";
  return all;
}

}  // namespace

struct ConfigFile::State {
  std::string source;  // the file's name
  std::string environment_prefix;  // empty: the environment is not looked at
  toml::table table;
  std::set<std::string, std::less<>> keys_read;
  std::set<std::string, std::less<>> variables_read;

  // One setting, wherever it came from; neither part set: absent.
  struct Found {
    std::string where;                        // "dfs.toml:3: heartbeat_ms" or "DFS_META_HEARTBEAT_MS"
    const toml::node* node = nullptr;         // from the file
    std::optional<std::string> environment;   // from the environment; wins
    bool is_absent() const { return node == nullptr && !environment; }

    std::string value_shown() const { return environment ? "\"" + *environment + "\"" : shown(*node); }
    tl::unexpected<Error> wrong(std::string_view right) const {
      return fail(Errc::invalid, fmt::format("{} is {}, but must be {}", where, value_shown(), right));
    }
  };

  Found find(std::string_view key) {
    keys_read.emplace(key);
    if (!environment_prefix.empty()) {
      const std::string variable = environment_prefix + "_" + upper_with_underscores(key);
      variables_read.insert(variable);
      if (const char* value = std::getenv(variable.c_str()); value != nullptr) return {variable, nullptr, value};
    }
    const toml::node* node = table.at_path(key).node();
    if (node == nullptr) return {};
    return {fmt::format("{}: {}", place_of(*node), key), node, std::nullopt};
  }

  std::string place_of(const toml::node& node) const {
    return fmt::format("{}:{}", source, node.source().begin.line);
  }

  // The first leaf below `from` that nobody read, in the file's order.
  void collect_unread(const toml::table& from, const std::string& prefix,
                      std::vector<std::pair<const toml::node*, std::string>>& unread) const {
    for (const auto& [name, node] : from) {
      const std::string key = prefix + std::string(name.str());
      if (keys_read.contains(key)) continue;
      const toml::table* inner = node.as_table();
      const bool is_known_table = inner != nullptr && has_key_below(key);
      if (is_known_table) {
        collect_unread(*inner, key + ".", unread);
      } else {
        unread.emplace_back(&node, key);
      }
    }
  }
  bool has_key_below(const std::string& table_key) const {
    const auto below = keys_read.lower_bound(table_key + ".");
    return below != keys_read.end() && below->starts_with(table_key + ".");
  }

  // A misspelt variable cannot be told from one that belongs to somebody
  // else, so it is said and not refused.
  void warn_of_unread_variables() const {
    if (environment_prefix.empty()) return;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string_view text = *entry;
      const std::string_view name = text.substr(0, text.find('='));
      if (name.starts_with(environment_prefix + "_") && !variables_read.contains(name))
        log_warn("config", "environment variable {} is set, but there is no such setting", name);
    }
  }

  static Result<ConfigFile> make(std::string_view text, std::string source, std::string prefix) {
    auto state = std::make_unique<State>();
    state->source = source;
    state->environment_prefix = std::move(prefix);
    try {
      state->table = toml::parse(text, source);
    } catch (const toml::parse_error& error) {
      return fail(Errc::invalid, fmt::format("{}:{}: {}", source, error.source().begin.line, error.description()));
    }
    return ConfigFile(std::move(state));
  }

  // Common to all whole numbers.
  Result<std::optional<std::uint64_t>> read_number(std::string_view key, std::uint64_t least,
                                                   std::uint64_t most) {
    const Found found = find(key);
    if (found.is_absent()) return std::nullopt;
    const std::string right = fmt::format("a whole number from {} to {}", least, most);
    std::uint64_t number = 0;
    if (found.environment) {
      const std::string& text = *found.environment;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc() || end != text.data() + text.size()) return found.wrong(right);
    } else {
      const auto* integer = found.node->as_integer();
      if (integer == nullptr || integer->get() < 0) return found.wrong(right);
      number = static_cast<std::uint64_t>(integer->get());
    }
    if (number < least || number > most) return found.wrong(right);
    return number;
  }
};

ConfigFile::ConfigFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
ConfigFile::ConfigFile(ConfigFile&&) noexcept = default;
ConfigFile& ConfigFile::operator=(ConfigFile&&) noexcept = default;
ConfigFile::~ConfigFile() = default;

Result<ConfigFile> ConfigFile::load(const std::filesystem::path& path, std::string environment_prefix) {
  std::string text;
  if (!path.empty()) text = TRY(read_whole(path));
  return State::make(text, path.string(), std::move(environment_prefix));
}

Result<ConfigFile> ConfigFile::parse(std::string_view text) { return State::make(text, "text", ""); }

Result<void> ConfigFile::read(std::string_view key, std::string& value) {
  const State::Found found = state_->find(key);
  if (found.is_absent()) return {};
  if (found.environment) {
    value = *found.environment;
    return {};
  }
  const auto* text = found.node->as_string();
  if (text == nullptr) return found.wrong("text in quotes");
  value = text->get();
  return {};
}

Result<void> ConfigFile::read(std::string_view key, std::filesystem::path& value) {
  std::string text = value.string();
  TRY(read(key, text));
  if (text.find('\0') != std::string::npos)
    return fail(Errc::invalid, fmt::format("{}: {} has a zero byte in it", state_->source, key));
  value = text;
  return {};
}

Result<void> ConfigFile::read(std::string_view key, bool& value) {
  const State::Found found = state_->find(key);
  if (found.is_absent()) return {};
  if (found.environment) {
    if (*found.environment != "true" && *found.environment != "false") return found.wrong("true or false");
    value = *found.environment == "true";
    return {};
  }
  const auto* boolean = found.node->as_boolean();
  if (boolean == nullptr) return found.wrong("true or false");
  value = boolean->get();
  return {};
}

Result<void> ConfigFile::read(std::string_view key, std::vector<std::string>& value) {
  const State::Found found = state_->find(key);
  if (found.is_absent()) return {};
  std::vector<std::string> items;
  if (found.environment) {
    std::istringstream rest(*found.environment);
    for (std::string item; std::getline(rest, item, ',');) items.push_back(item);
  } else {
    const toml::array* array = found.node->as_array();
    if (array == nullptr) return found.wrong("a list of texts, [\"a\", \"b\"]");
    for (const toml::node& item : *array) {
      if (!item.is_string()) return found.wrong("a list of texts, [\"a\", \"b\"]");
      items.push_back(item.as_string()->get());
    }
  }
  value = std::move(items);
  return {};
}

Result<void> ConfigFile::read(std::string_view key, std::uint64_t& value, std::uint64_t least,
                              std::uint64_t most) {
  const auto number = TRY(state_->read_number(key, least, most));
  if (number) value = *number;
  return {};
}

Result<void> ConfigFile::read(std::string_view key, std::uint32_t& value, std::uint32_t least,
                              std::uint32_t most) {
  const auto number = TRY(state_->read_number(key, least, most));
  if (number) value = static_cast<std::uint32_t>(*number);
  return {};
}

Result<void> ConfigFile::read(std::string_view key, std::chrono::milliseconds& value,
                              std::chrono::milliseconds least, std::chrono::milliseconds most) {
  const auto number = TRY(state_->read_number(key, static_cast<std::uint64_t>(least.count()),
                                              static_cast<std::uint64_t>(most.count())));
  if (number) value = std::chrono::milliseconds(*number);
  return {};
}

Result<void> ConfigFile::read_size(std::string_view key, std::uint64_t& value, std::uint64_t least,
                                   std::uint64_t most) {
  const State::Found found = state_->find(key);
  if (found.is_absent()) return {};
  const std::string right = fmt::format("a size from {} to {}", format_size(least), format_size(most));
  std::uint64_t bytes = 0;
  if (found.node != nullptr && found.node->is_integer()) {
    const std::int64_t number = found.node->as_integer()->get();
    if (number < 0) return found.wrong(right);
    bytes = static_cast<std::uint64_t>(number);
  } else {
    if (found.node != nullptr && !found.node->is_string()) return found.wrong(right);
    const auto parsed = parse_size(found.environment ? *found.environment : found.node->as_string()->get());
    if (!parsed) return found.wrong(right);
    bytes = *parsed;
  }
  if (bytes < least || bytes > most) return found.wrong(right);
  value = bytes;
  return {};
}

Result<void> ConfigFile::finish() {
  state_->warn_of_unread_variables();
  std::vector<std::pair<const toml::node*, std::string>> unread;
  state_->collect_unread(state_->table, "", unread);
  if (unread.empty()) return {};
  // Tables are sorted by name; an operator reads from the top of the file.
  const auto first = std::min_element(unread.begin(), unread.end(), [](const auto& a, const auto& b) {
    return a.first->source().begin.line < b.first->source().begin.line;
  });
  return fail(Errc::invalid,
              fmt::format("{}: there is no setting \"{}\"", state_->place_of(*first->first), first->second));
}

}  // namespace dfs
