// What the programs of a cluster run do: each writes and fsyncs files of its own and
// reads anybody's, and compares what it is told with the book.
//
// Threads: each object is one program's; abandon() and problem() when that waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common/client/file_system.h"
#include "tests/model/dice.h"
#include "tests/sim/file_book.h"
#include "tests/sim/trace.h"

namespace dfs::sim {

// Where a program's engine is; another one after the mount has died.
struct Desk {
  FileSystem* files = nullptr;
  std::atomic<std::size_t> sessions_replaced{0};
};

class FileSteps {
 public:
  // All must outlive it.
  FileSteps(const Desk& desk, FileBook& book, Trace& trace, std::uint64_t seed, std::size_t number)
      : desk_(desk), book_(book), trace_(trace), seed_(seed), number_(number) {}

  void step(std::size_t number);
  // The mount is dying: whatever the program waits for ends. From any thread.
  void interrupt() { interrupt_->interrupt(); }
  // It is about to go: what is open is closed, and all is in doubt.
  void abandon();
  // The session was replaced: what had not been sent is gone.
  void doubt_all();
  // What was found to be wrong; empty: nothing.
  const std::string& problem() const { return problem_; }

  // Compares all files with the book. Empty: they hold what they must.
  enum class Expect {
    no_wrong_bytes,    // pages that cannot be read are not wrong
    all_that_is_safe,  // everything has been healed
  };
  static std::string read_all(FileSystem& files, const FileBook& book, Expect expect);

 private:
  std::string name_of(std::size_t file) const;
  OpenFilePtr open(const std::string& name);
  void write(const std::string& name, model::Dice& dice);
  void fsync(const std::string& name);
  void read(const std::string& name, model::Dice& dice);
  void close(const std::string& name);
  // The program does not know any more what it has.
  void failed(const std::string& name, const char* what, const Error& error);
  struct Checked {
    FileSystem& files;
    OpenFile& file;
    const FileBook& book;
    const std::string& name;
    Expect expect;
  };
  static std::string check_page(const Checked& what, std::size_t page);
  static Result<std::vector<std::byte>> read_pages(FileSystem& files, OpenFile& file, std::size_t page,
                                                   std::size_t pages, const CallContext& context);

  const Desk& desk_;
  FileBook& book_;
  Trace& trace_;
  const std::uint64_t seed_;
  const std::size_t number_;
  CallContext context() const { return {.caller = {}, .interrupt = interrupt_.get()}; }

  std::unique_ptr<Interrupt> interrupt_ = std::make_unique<Interrupt>();  // of the mount's life
  std::map<std::string, OpenFilePtr> open_;
  std::string problem_;
};

}  // namespace dfs::sim
