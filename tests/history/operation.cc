#include "tests/history/operation.h"

#include <algorithm>
#include <array>
#include <istream>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace dfs::history {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<Kind, std::string_view>, 11> kKinds{{{Kind::write, "write"},
                                                                    {Kind::read, "read"},
                                                                    {Kind::create, "create"},
                                                                    {Kind::unlink, "unlink"},
                                                                    {Kind::rename, "rename"},
                                                                    {Kind::lookup, "lookup"},
                                                                    {Kind::list, "list"},
                                                                    {Kind::append, "append"},
                                                                    {Kind::read_log, "read_log"},
                                                                    {Kind::lock, "lock"},
                                                                    {Kind::unlock, "unlock"}}};
constexpr std::array<std::pair<Answer, std::string_view>, 4> kAnswers{{{Answer::ok, "ok"},
                                                                       {Answer::exists, "exists"},
                                                                       {Answer::not_found, "not_found"},
                                                                       {Answer::busy, "busy"}}};
// A listing or a log is told by its end.
constexpr std::size_t kValuesTold = 12;

template <typename T, std::size_t N>
std::string_view word_for(const std::array<std::pair<T, std::string_view>, N>& words, T value) {
  for (const auto& [each, word] : words)
    if (each == value) return word;
  return "?";
}

template <typename T, std::size_t N>
Result<T> parse_word(const std::array<std::pair<T, std::string_view>, N>& words, const std::string& text) {
  for (const auto& [value, word] : words)
    if (word == text) return value;
  return fail(Errc::invalid, fmt::format("\"{}\" is not known", text));
}

// What may be answered instead of ok.
Answer refusal_of(Kind kind) {
  if (kind == Kind::create) return Answer::exists;
  if (kind == Kind::unlink || kind == Kind::rename || kind == Kind::lookup) return Answer::not_found;
  return kind == Kind::lock ? Answer::busy : Answer::ok;
}

Result<void> check_fields(const Operation& operation) {
  if (operation.client.empty()) return fail(Errc::invalid, "no client");
  if (operation.object.empty()) return fail(Errc::invalid, "no object");
  const bool is_named = operation.kind == Kind::create || operation.kind == Kind::unlink ||
                        operation.kind == Kind::rename || operation.kind == Kind::lookup;
  if (is_named == operation.name.empty()) return fail(Errc::invalid, "a name where none belongs, or none");
  if ((operation.kind == Kind::rename) == operation.to_name.empty())
    return fail(Errc::invalid, "a new name where none belongs, or none");
  for (const std::string& name : {operation.name, operation.to_name})
    if (name.find('/') != std::string::npos) return fail(Errc::invalid, "a name with a '/'");
  if (!may_be_answered(operation.kind, operation.answer))
    return fail(Errc::invalid, "that answer does not belong to it");
  if (operation.ended && *operation.ended < operation.begun)
    return fail(Errc::invalid, "it has ended before it was begun");
  return {};
}

Result<Operation> parse(const json& line) {
  Operation operation;
  operation.client = line.at("client").get<std::string>();
  operation.kind = TRY(parse_word(kKinds, line.at("kind").get<std::string>()));
  operation.object = line.at("object").get<std::string>();
  operation.name = line.value("name", "");
  operation.to_object = line.value("to_object", operation.kind == Kind::rename ? operation.object : "");
  operation.to_name = line.value("to_name", "");
  operation.value = line.value("value", "");
  operation.values = line.value("values", std::vector<std::string>());
  operation.shared = line.value("shared", false);
  operation.answer = TRY(parse_word(kAnswers, line.value("answer", "ok")));
  operation.begun = line.at("begun").get<std::int64_t>();
  if (line.contains("ended")) operation.ended = line.at("ended").get<std::int64_t>();
  TRY(check_fields(operation));
  return operation;
}

std::string what_is_done(const Operation& operation) {
  std::string text(word_for(kKinds, operation.kind));
  text += " " + operation.object;
  if (!operation.name.empty()) text += "/" + operation.name;
  if (operation.kind == Kind::rename) text += " to " + operation.to_object + "/" + operation.to_name;
  if (operation.shared) text += " shared";
  if (operation.kind == Kind::write || operation.kind == Kind::append) text += " \"" + operation.value + "\"";
  return text;
}

std::string what_is_answered(const Operation& operation) {
  if (operation.answer != Answer::ok) return std::string(word_for(kAnswers, operation.answer));
  if (operation.kind == Kind::read) return "\"" + operation.value + "\"";
  if (operation.kind == Kind::list || operation.kind == Kind::read_log) {
    const std::size_t left_out = operation.values.size() - std::min(operation.values.size(), kValuesTold);
    const std::vector<std::string> told(operation.values.begin() + static_cast<std::ptrdiff_t>(left_out),
                                        operation.values.end());
    return fmt::format("{}[{}{}]", operation.values.size(), left_out > 0 ? "..., " : "", fmt::join(told, ", "));
  }
  return operation.value.empty() || operation.kind == Kind::write || operation.kind == Kind::append
             ? "ok"
             : "ok, file " + operation.value;
}

}  // namespace

bool observes(Kind kind) {
  return kind == Kind::read || kind == Kind::lookup || kind == Kind::list || kind == Kind::read_log;
}

bool may_be_answered(Kind kind, Answer answer) { return answer == Answer::ok || answer == refusal_of(kind); }

Result<std::vector<Operation>> read_history(std::istream& lines) {
  std::vector<Operation> history;
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.empty()) continue;
    try {
      Result<Operation> operation = parse(json::parse(line));
      if (!operation) return fail(Errc::invalid, fmt::format("line {}: {}", number, operation.error().text));
      history.push_back(*std::move(operation));
    } catch (const json::exception& problem) {
      return fail(Errc::invalid, fmt::format("line {}: {}", number, problem.what()));
    }
  }
  return history;
}

std::string to_json(const Operation& operation) {
  json line{{"client", operation.client},
            {"kind", word_for(kKinds, operation.kind)},
            {"object", operation.object},
            {"begun", operation.begun}};
  if (!operation.name.empty()) line["name"] = operation.name;
  if (!operation.to_object.empty()) line["to_object"] = operation.to_object;
  if (!operation.to_name.empty()) line["to_name"] = operation.to_name;
  if (!operation.value.empty()) line["value"] = operation.value;
  if (!operation.values.empty()) line["values"] = operation.values;
  if (operation.shared) line["shared"] = true;
  if (operation.answer != Answer::ok) line["answer"] = word_for(kAnswers, operation.answer);
  if (operation.ended) line["ended"] = *operation.ended;
  return line.dump();
}

std::string to_text(const Operation& operation, std::int64_t zero) {
  const auto milliseconds = [zero](std::int64_t time) { return static_cast<double>(time - zero) / 1e6; };
  const std::string what = fmt::format("{}: {}", operation.client, what_is_done(operation));
  if (!operation.ended)
    return fmt::format("{}, from {:.3f} ms on: outcome unknown", what, milliseconds(operation.begun));
  return fmt::format("{} = {}, from {:.3f} to {:.3f} ms", what, what_is_answered(operation),
                     milliseconds(operation.begun), milliseconds(*operation.ended));
}

}  // namespace dfs::history
