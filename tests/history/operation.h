// One thing that a program did to something shared, and what it was told: a
// line of a history.
//
// A history is a file of JSON lines, in any order, written by the programs
// whose work is to be judged:
//
//   {"client":"mount1.0","kind":"write","object":"r","value":"17","begun":120,"ended":180}
//   {"client":"mount2.0","kind":"lookup","object":"d","name":"a","answer":"not_found","begun":150,"ended":170}
//
// Fields that are empty (or whose answer is "ok") may be left out. Times are
// nanoseconds of the steady clock of one machine. Without "ended" the outcome
// is unknown: it happened at some time after `begun`, or never.
//
//   kind      object     further                     answer
//   write     register   value                       ok
//   read      register   value; "": never written    ok
//   create    directory  name, value                 ok, exists
//   unlink    directory  name                        ok, not_found
//   rename    directory  name, to_object, to_name    ok, not_found; replaces what is there
//   lookup    directory  name, value                 ok, not_found
//   list      directory  values: the names           ok
//   append    log        value: a record             ok
//   read_log  log        values: all the records     ok
//   lock      lock       shared                      ok, busy
//   unlock    lock                                   ok
//
// `value` of a create or lookup is which file it is (its inode, say); empty: not
// known. Before the first line registers are "", directories and logs empty,
// and nothing is locked.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace dfs::history {

enum class Kind { write, read, create, unlink, rename, lookup, list, append, read_log, lock, unlock };
enum class Answer { ok, exists, not_found, busy };

struct Operation {
  std::string client;  // does one thing at a time
  Kind kind = Kind::read;
  std::string object;
  std::string name;
  std::string to_object;  // empty: `object`
  std::string to_name;
  std::string value;
  std::vector<std::string> values;
  bool shared = false;
  Answer answer = Answer::ok;
  std::int64_t begun = 0;
  std::optional<std::int64_t> ended;
};

// Something that only tells what is there.
bool observes(Kind kind);
bool may_be_answered(Kind kind, Answer answer);

//   invalid  "line 7: ..." says what is wrong with it
Result<std::vector<Operation>> read_history(std::istream& lines);
std::string to_json(const Operation& operation);

// "mount2.0: lookup d/a = not_found, from 0.150 to 0.170 ms", counted from `zero`.
std::string to_text(const Operation& operation, std::int64_t zero);

}  // namespace dfs::history
