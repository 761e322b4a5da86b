// What a supervisor and its worker say to each other, over a socket between them.
//
//   worker -> supervisor   wants_device     mount, if it is not mounted, and give me the device
//                          ready            the mount answers; the text is the program's version
//                          ready_alone      the same, but no other worker could go on
//                          failed           why it does not; a line for people
//   supervisor -> worker   device           with the descriptor
//                          no_device        why not
//
// Threads: one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs::fuse {

enum class WorkerWord : char {
  wants_device = 'w',
  ready = 'r',
  ready_alone = 'a',
  failed = 'f',
  device = 'd',
  no_device = 'n',
};

struct WorkerMessage {
  WorkerWord word{};
  std::string text;
  UniqueFd descriptor;
};

class WorkerLink {
 public:
  struct Ends;
  static Result<Ends> make();
  explicit WorkerLink(UniqueFd socket) : socket_(std::move(socket)) {}

  // `descriptor`: sent along; -1: none.
  Result<void> send(WorkerWord word, const std::string& text = {}, int descriptor = -1);
  // Waits for one. Empty: the other end is gone.
  Result<std::optional<WorkerMessage>> receive();

  int descriptor() const { return socket_.get(); }

 private:
  UniqueFd socket_;
};

struct WorkerLink::Ends {
  WorkerLink supervisor;
  WorkerLink worker;
};

// What a worker finds at its start, by the numbers of the descriptors.
struct WorkerPapers {
  static constexpr const char* kVariable = "DFS_MOUNT_WORKER";  // the directory
  static constexpr int kLink = 3;
  static constexpr int kMemory = 4;

  UniqueFd link;
  UniqueFd memory;
  std::filesystem::path directory;

  // Empty: this process is no worker. To be called once.
  static std::optional<WorkerPapers> take();
};

}  // namespace dfs::fuse
