// Histories as tests like to write them: times are small numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/history/check.h"

namespace dfs::history {

struct Time {
  std::int64_t begun;
  std::optional<std::int64_t> ended;
};

inline Operation operation(std::string client, Kind kind, Time time) {
  Operation made;
  made.client = std::move(client);
  made.kind = kind;
  made.object = "o";
  made.begun = time.begun;
  made.ended = time.ended;
  return made;
}

inline Operation write(std::string client, std::string value, Time time) {
  Operation made = operation(std::move(client), Kind::write, time);
  made.value = std::move(value);
  return made;
}
inline Operation read(std::string client, std::string value, Time time) {
  Operation made = operation(std::move(client), Kind::read, time);
  made.value = std::move(value);
  return made;
}

struct Named {
  std::string name;
  std::string file = {};  // which one it is; empty: not known
};
inline Operation named(std::string client, Kind kind, Named what, Answer answer, Time time) {
  Operation made = operation(std::move(client), kind, time);
  made.name = std::move(what.name);
  made.value = std::move(what.file);
  made.answer = answer;
  return made;
}
inline Operation create(std::string client, Named what, Time time, Answer answer = Answer::ok) {
  return named(std::move(client), Kind::create, std::move(what), answer, time);
}
inline Operation unlink(std::string client, std::string name, Time time, Answer answer = Answer::ok) {
  return named(std::move(client), Kind::unlink, {std::move(name)}, answer, time);
}
inline Operation lookup(std::string client, Named what, Time time, Answer answer = Answer::ok) {
  return named(std::move(client), Kind::lookup, std::move(what), answer, time);
}
inline Operation rename(std::string client, std::string name, std::string to, Time time, Answer answer = Answer::ok) {
  Operation made = named(std::move(client), Kind::rename, {std::move(name)}, answer, time);
  made.to_object = made.object;
  made.to_name = std::move(to);
  return made;
}
inline Operation list(std::string client, std::vector<std::string> names, Time time) {
  Operation made = operation(std::move(client), Kind::list, time);
  made.values = std::move(names);
  return made;
}

inline Operation append(std::string client, std::string record, Time time) {
  Operation made = operation(std::move(client), Kind::append, time);
  made.value = std::move(record);
  return made;
}
inline Operation read_log(std::string client, std::vector<std::string> records, Time time) {
  Operation made = operation(std::move(client), Kind::read_log, time);
  made.values = std::move(records);
  return made;
}

enum class Sharing { exclusive, shared };
inline Operation lock(std::string client, Sharing sharing, Time time, Answer answer = Answer::ok) {
  Operation made = operation(std::move(client), Kind::lock, time);
  made.shared = sharing == Sharing::shared;
  made.answer = answer;
  return made;
}
inline Operation unlock(std::string client, Time time) { return operation(std::move(client), Kind::unlock, time); }

// "ok", or what is wrong.
inline std::string judged(const std::vector<Operation>& history) {
  const auto judgement = judge(history);
  if (!judgement) return judgement.error().to_string();
  return judgement->verdict == Judgement::Verdict::ok ? "ok" : judgement->text;
}

}  // namespace dfs::history
