// Judges a history: whether there is one order of events that explains all
// that everybody was told. Each object is decided alone: registers, names and
// locks by linearize.h, logs by append_log.h.
//
// Threads: any; no state.
#pragma once

#include <span>
#include <string>

#include "common/base/result.h"
#include "tests/history/linearize.h"
#include "tests/history/operation.h"

namespace dfs::history {

struct Judgement {
  enum class Verdict { ok, anomaly, undecided };
  Verdict verdict = Verdict::ok;
  // "ok: ...", or the first anomaly with the operations that make it one, or
  // what could not be decided; several lines for a person.
  std::string text;
};

// `limits` are for each object.
//   invalid  nobody can have done that: a client did two things at once, or a
//            record was appended twice
Result<Judgement> judge(std::span<const Operation> history, const SearchLimits& limits = {});

}  // namespace dfs::history
