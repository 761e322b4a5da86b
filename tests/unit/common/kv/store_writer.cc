#include "tests/unit/common/kv/store_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

namespace dfs {

StoreWriter::StoreWriter(const Orders& orders) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  done_ = UniqueFd(ends[0]);
  const UniqueFd child_end(ends[1]);

  std::vector<std::string> arguments = {DFS_STORE_WRITER,
                                        orders.directory.string(),
                                        std::to_string(orders.writes),
                                        std::to_string(orders.value_bytes),
                                        std::to_string(orders.logged),
                                        std::to_string(orders.synced),
                                        std::to_string(orders.flushed)};
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, child_end.get(), STDOUT_FILENO);
  if (::posix_spawn(&pid_, DFS_STORE_WRITER, &actions, nullptr, pointers.data(), environ) != 0) pid_ = -1;
  ::posix_spawn_file_actions_destroy(&actions);
}

bool StoreWriter::wait_until_written() {
  char byte = 0;
  return pid_ > 0 && ::read(done_.get(), &byte, 1) == 1;
}

void StoreWriter::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string StoreWriter::key(int number) { return "key" + std::to_string(100'000 + number); }

std::string StoreWriter::value(int number, int bytes) {
  return std::string(static_cast<std::size_t>(bytes), static_cast<char>('a' + number % 26)) + key(number);
}

}  // namespace dfs
