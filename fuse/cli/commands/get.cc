// dfs get: files and trees from the file system to this machine.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "fuse/cli/command.h"
#include "fuse/cli/connection.h"
#include "fuse/cli/copy_jobs.h"
#include "fuse/cli/output.h"
#include "fuse/cli/remote_path.h"
#include "fuse/cli/transfer.h"
#include "fuse/cli/transfer_options.h"

namespace dfs::cli {

namespace {

class GetTree {
 public:
  GetTree(const Transfer& transfer, CopyJobs& jobs) : transfer_(transfer), jobs_(jobs) {}

  // For the progress bar only, so nothing is an error.
  void expect_all(const Attributes& source) {
    if (source.type == FileType::regular) return transfer_.progress.expect(source.size, 1);
    if (source.type != FileType::directory) return;
    (void)for_each_entry(transfer_.files, transfer_.context, source.inode,
                         [this](const Entry& entry) -> Result<void> {
                           expect_all(entry.attributes);
                           return {};
                         });
  }

  // Copies whatever `source` is to `target`. What fails is reported under
  // `name`; the rest goes on.
  void get(const std::string& name, const Attributes& source, const std::filesystem::path& target) {
    if (source.type == FileType::regular) {
      jobs_.add(name, [this, source, target] { return get_file(transfer_, source, target); });
      return;
    }
    const auto done = source.type == FileType::directory ? get_directory(name, source, target)
                      : source.type == FileType::symlink ? get_link(source, target)
                                                         : get_special(source, target);
    if (!done) jobs_.failed(name, done.error());
  }

  Result<void> finish() {
    if (!transfer_.preserve) return {};
    for (auto directory = directories_.rbegin(); directory != directories_.rend(); ++directory)
      TRY(preserve_local(directory->source, directory->target));
    return {};
  }

 private:
  struct Directory {
    Attributes source;
    std::filesystem::path target;
  };

  Result<void> get_directory(const std::string& name, const Attributes& source,
                             const std::filesystem::path& target) {
    // Writable for us while it is filled.
    if (::mkdir(target.c_str(), source.mode | 0700U) != 0) {
      if (errno != EEXIST) return fail_errno(errno, "make directory " + target.string());
      if (!std::filesystem::is_directory(target)) return fail(Errc::not_directory, target.string());
    }
    directories_.push_back({source, target});
    return for_each_entry(transfer_.files, transfer_.context, source.inode,
                          [&](const Entry& entry) -> Result<void> {
                            get(join_path(name, entry.name), entry.attributes, target / entry.name);
                            return {};
                          });
  }

  Result<void> get_link(const Attributes& source, const std::filesystem::path& target) {
    const std::string to = TRY(transfer_.files.read_symlink(source.inode, transfer_.context));
    if (::symlink(to.c_str(), target.c_str()) != 0) {
      if (errno != EEXIST) return fail_errno(errno, "link " + target.string());
      if (::unlink(target.c_str()) != 0 || ::symlink(to.c_str(), target.c_str()) != 0)
        return fail_errno(errno, "link " + target.string());
    }
    if (transfer_.preserve) return preserve_local(source, target);
    return {};
  }

  Result<void> get_special(const Attributes& source, const std::filesystem::path& target) {
    const mode_t type = source.type == FileType::fifo               ? S_IFIFO
                        : source.type == FileType::socket           ? S_IFSOCK
                        : source.type == FileType::character_device ? S_IFCHR
                                                                    : S_IFBLK;
    if (::mknod(target.c_str(), type | source.mode, source.rdev) != 0)
      return fail_errno(errno, "make " + target.string());
    return {};
  }

  const Transfer& transfer_;
  CopyJobs& jobs_;
  std::vector<Directory> directories_;
};

// Like cp: into a directory under the source's name, else to the name given.
Result<std::filesystem::path> target_for(const std::string& source, const std::string& target,
                                         std::size_t sources) {
  if (!std::filesystem::is_directory(target)) {
    if (sources > 1 || target.ends_with('/')) return fail(Errc::not_directory, target);
    return std::filesystem::path(target);
  }
  const auto names = TRY(split_path(source));
  if (names.empty() || names.back() == "..") return std::filesystem::path(target);  // the root
  return std::filesystem::path(target) / names.back();
}

Result<void> get_one(GetTree& tree, const Transfer& transfer, CopyJobs& jobs, const TransferOptions& options,
                     const std::string& path) {
  const std::string& target = options.paths.back();
  const LastLink last_link = options.recursive ? LastLink::keep : LastLink::follow;
  const Attributes source = TRY(resolve(transfer.files, transfer.context, path, last_link));
  if (source.type == FileType::directory && !options.recursive)
    return fail(Errc::is_directory, path + ": use -r for directories");
  if (target == "-") {
    jobs.add(path, [&transfer, source] { return get_file(transfer, source, STDOUT_FILENO); });
    return {};
  }
  const auto place = TRY(target_for(path, target, options.paths.size() - 1));
  if (transfer.progress.is_shown()) tree.expect_all(source);
  tree.get(path, source, place);
  return {};
}

Result<void> get(const TransferOptions& options) {
  if (options.paths.back() == "-" && options.paths.size() != 2)
    return fail(Errc::invalid, "one file at a time goes to the standard output");
  const auto connection = TRY(Connection::open(options.connect));
  const CallContext context = connection->context();
  Progress progress("get", SystemClock::instance());
  const Transfer transfer{connection->files(), context, progress, options.preserve};
  CopyJobs jobs(options.jobs, progress);
  GetTree tree(transfer, jobs);
  Result<void> done;
  for (std::size_t at = 0; done && at + 1 < options.paths.size(); ++at)
    done = get_one(tree, transfer, jobs, options, options.paths[at]);
  const auto copied = jobs.finish();
  if (!done) return done;
  TRY(copied);
  return tree.finish();
}

}  // namespace

void add_get_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("get", "Copy files and trees out of the file system");
  const auto options = std::make_shared<TransferOptions>();
  add_transfer_options(*command, *options, "Sources, then the target on this machine (- is stdout)");
  add_examples(*command,
               "  dfs get /reports/report.pdf .\n"
               "  dfs get -r /photos ./photos\n"
               "  dfs get /backup/db.sql - | psql db");
  command->callback([options, &choice] { choice.set([options] { return get(*options); }); });
}

}  // namespace dfs::cli
