#include "tests/history/early_reads.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

namespace dfs::history {
namespace {

std::string mount_of(const Operation& operation) { return operation.client.substr(0, operation.client.find('.')); }

using Written = std::tuple<std::string, std::string, std::string>;  // mount, object, value

bool changes_names(Kind kind) {
  return kind == Kind::create || kind == Kind::unlink || kind == Kind::rename;
}

std::int64_t end_of(const Operation& operation) { return operation.ended.value_or(INT64_MAX); }

bool overlap(const Operation& a, const Operation& b) {
  return a.begun < end_of(b) && b.begun < end_of(a);
}

bool is_about(const Operation& change, const std::string& directory) {
  return change.object == directory || change.to_object == directory;
}

// Others may have seen the change already, of which the kernel of its own mount
// hears with the answer.
bool looks_beside_a_change(const Operation& look, const std::vector<Operation>& history) {
  if (look.kind != Kind::lookup && look.kind != Kind::list) return false;
  return std::ranges::any_of(history, [&](const Operation& change) {
    return changes_names(change.kind) && mount_of(change) == mount_of(look) &&
           is_about(change, look.object) && overlap(change, look);
  });
}

// Linux looks up both names of a rename, one after the other, and does nothing if
// they lead to one file: another rename from the one to the other may lie between.
bool may_be_nothing(const Operation& rename, const std::vector<Operation>& history) {
  if (rename.kind != Kind::rename || rename.answer != Answer::ok) return false;
  return std::ranges::any_of(history, [&](const Operation& other) {
    return &other != &rename && other.kind == Kind::rename && other.to_object == rename.to_object &&
           other.to_name == rename.to_name && overlap(other, rename);
  });
}

// The same of bytes: others may have read them already.
bool reads_beside_a_write(const Operation& read, const std::vector<Operation>& history) {
  if (read.kind != Kind::read) return false;
  return std::ranges::any_of(history, [&](const Operation& write) {
    return write.kind == Kind::write && write.object == read.object &&
           mount_of(write) == mount_of(read) && overlap(write, read);
  });
}

void doubt_what_is_early(std::vector<Operation>& history) {
  const std::vector<Operation> all = history;
  for (std::size_t at = 0; at < all.size(); ++at)
    if (may_be_nothing(all[at], all)) history[at].ended.reset();
  std::erase_if(history, [&](const Operation& operation) {
    return looks_beside_a_change(operation, all) || reads_beside_a_write(operation, all);
  });
}

}  // namespace

std::vector<Operation> without_early_reads(std::vector<Operation> history) {
  std::map<Written, std::int64_t> returned;
  for (const Operation& operation : history)
    if (operation.kind == Kind::write || operation.kind == Kind::append)
      returned[{mount_of(operation), operation.object, operation.value}] = operation.ended.value_or(INT64_MAX);

  const auto shows_early = [&](const Operation& read, const std::string& value) {
    const auto write = returned.find({mount_of(read), read.object, value});
    return write != returned.end() && read.begun < write->second;
  };
  std::erase_if(history, [&](const Operation& operation) {
    if (operation.kind == Kind::read) return shows_early(operation, operation.value);
    return operation.kind == Kind::read_log &&
           std::ranges::any_of(operation.values, [&](const auto& value) { return shows_early(operation, value); });
  });
  doubt_what_is_early(history);
  return history;
}

}  // namespace dfs::history
