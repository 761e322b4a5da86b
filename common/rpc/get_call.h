// One get under way: parts are copied to where they belong and verified there.
// A part that lies in a file of this machine is read by whoever makes the
// call, which ends when all of those reads have. For storage_connection*.cc only.
//
// Threads: the completion loop only, question() aside.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/rpc/local_reader.h"
#include "common/rpc/storage_client.h"
#include "common/rpc/storage_messages.h"

namespace dfs {

class GetCall {
 public:
  using Done = std::function<void(std::vector<Result<void>>)>;

  GetCall(std::vector<GetArgs> ranges, Done done);

  GetQuestion question(std::uint64_t id) const;

  // A part in a file: to be read, and its end reported by took_local().
  struct LocalPart {
    std::size_t range = 0;
    LocalReader::Read read;
  };
  // Copies and verifies one part, or says where to read it. `bad_message` if
  // it is no part of what was asked.
  Result<std::optional<LocalPart>> take_part(const GetPart& part, const FramePayload& payload);
  void took_local(std::size_t range, const Result<void>& result);

  // No more parts will come; why not, for ranges that are not complete. The
  // first reason counts.
  void end(const Error& why);
  // It has ended, and nobody writes to its memory any more.
  bool is_over() const { return why_.has_value() && local_reads_ == 0; }
  // Once it is over: the ranges that a local file did not hold. They are to be
  // asked for as `local` = false, and their outcome is then part of this call's.
  std::shared_ptr<GetCall> rest();
  // Calls `done`, once it is over.
  void finish();

  SteadyTime last_progress{};
  bool local = true;  // parts may lie in files

 private:
  struct Progress {
    std::uint32_t received = 0;
    bool failed = false;
    bool not_in_file = false;
    Error error;
  };
  void fail_range(Progress& progress, Error error);
  std::vector<Result<void>> results();

  const std::vector<GetArgs> ranges_;
  std::vector<Progress> progress_;
  Done done_;
  std::size_t local_reads_ = 0;
  std::optional<Error> why_;
};
using GetCallPtr = std::shared_ptr<GetCall>;

}  // namespace dfs
