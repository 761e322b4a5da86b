// dfs put: files and trees from this machine into the file system.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
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

// A local directory's names, in order.
Result<std::vector<std::string>> names_in(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename().string());
  if (error) return fail_errno(error.value(), "list");
  std::ranges::sort(names);
  return names;
}

// How much there is to copy: for the progress bar only, so nothing is an error.
void expect_all(Progress& progress, const std::filesystem::path& source) {
  struct stat facts {};
  if (::lstat(source.c_str(), &facts) != 0) return;
  if (S_ISREG(facts.st_mode)) return progress.expect(static_cast<std::uint64_t>(facts.st_size), 1);
  if (!S_ISDIR(facts.st_mode)) return;
  const auto names = names_in(source);
  if (!names) return;
  for (const std::string& name : *names) expect_all(progress, source / name);
}

class PutTree {
 public:
  PutTree(const Transfer& transfer, CopyJobs& jobs) : transfer_(transfer), jobs_(jobs) {}

  // Copies whatever `source` is to `name` in `parent`. What fails is reported
  // under its name; the rest goes on.
  void put(const std::filesystem::path& source, InodeId parent, const std::string& name) {
    struct stat facts {};
    if (::lstat(source.c_str(), &facts) != 0)
      return jobs_.failed(source.string(), Error{from_errno(errno), std::strerror(errno)});
    if (S_ISREG(facts.st_mode)) {
      jobs_.add(source.string(), [this, source, parent, name] {
        return put_file(transfer_, source, parent, name);
      });
      return;
    }
    const auto done = S_ISDIR(facts.st_mode)   ? put_directory(source, facts, parent, name)
                      : S_ISLNK(facts.st_mode) ? put_link(source, parent, name)
                                               : put_special(facts, parent, name);
    if (!done) jobs_.failed(source.string(), done.error());
  }

  // Directories get their times when nothing is put into them any more.
  Result<void> finish() {
    if (!transfer_.preserve) return {};
    for (auto directory = directories_.rbegin(); directory != directories_.rend(); ++directory)
      TRY(preserve_remote(transfer_, directory->source, directory->inode));
    return {};
  }

 private:
  struct Directory {
    std::filesystem::path source;
    InodeId inode;
  };

  Result<void> put_directory(const std::filesystem::path& source, const struct stat& facts,
                             InodeId parent, const std::string& name) {
    const auto names = TRY(names_in(source));
    auto made = transfer_.files.make_node(parent, name, FileType::directory, facts.st_mode & 07777, 0,
                                          transfer_.context);
    if (!made && made.error().code == Errc::exists)
      made = transfer_.files.lookup(parent, name, transfer_.context);
    if (!made) return fail(std::move(made).error());
    if (made->type != FileType::directory) return fail(Errc::not_directory, "in the target");
    if (transfer_.preserve) directories_.push_back({source, made->inode});
    for (const std::string& entry : names) put(source / entry, made->inode, entry);
    return {};
  }

  Result<void> put_link(const std::filesystem::path& source, InodeId parent, const std::string& name) {
    std::error_code error;
    const std::filesystem::path target = std::filesystem::read_symlink(source, error);
    if (error) return fail_errno(error.value(), "read the link");
    auto made = transfer_.files.make_symlink(parent, name, target.string(), transfer_.context);
    if (!made && made.error().code == Errc::exists) {
      TRY(transfer_.files.unlink(parent, name, transfer_.context));
      made = transfer_.files.make_symlink(parent, name, target.string(), transfer_.context);
    }
    if (!made) return fail(std::move(made).error());
    if (transfer_.preserve) return preserve_remote(transfer_, source, made->inode);
    return {};
  }

  Result<void> put_special(const struct stat& facts, InodeId parent, const std::string& name) {
    const FileType type = S_ISFIFO(facts.st_mode)  ? FileType::fifo
                          : S_ISSOCK(facts.st_mode) ? FileType::socket
                          : S_ISCHR(facts.st_mode)  ? FileType::character_device
                                                    : FileType::block_device;
    TRY(transfer_.files.make_node(parent, name, type, facts.st_mode & 07777, facts.st_rdev,
                                  transfer_.context));
    return {};
  }

  const Transfer& transfer_;
  CopyJobs& jobs_;
  std::vector<Directory> directories_;
};

// The directory that the sources go into, or nothing when the only source
// itself becomes `target`.
Result<std::optional<Attributes>> target_directory(const TransferOptions& options, FileSystem& files,
                                                   const CallContext& context,
                                                   const std::string& target) {
  const auto there = resolve(files, context, target, LastLink::follow);
  if (there && there->type == FileType::directory) return std::optional(*there);
  if (!there && there.error().code != Errc::not_found) return fail(there.error());
  if (options.paths.size() > 2 || target.ends_with('/'))
    return fail(Errc::not_directory, target + ": several sources need a directory");
  return std::optional<Attributes>();
}

Result<void> put(const TransferOptions& options) {
  std::vector<std::string> sources = options.paths;
  const std::string target = std::move(sources.back());
  sources.pop_back();
  for (const std::string& source : sources) {
    if (source != "-" && ::access(source.c_str(), F_OK) != 0) return fail_errno(errno, source);
    if (source != "-" && std::filesystem::is_directory(source) && !options.recursive)
      return fail(Errc::is_directory, source + ": use -r for directories");
  }

  const auto connection = TRY(Connection::open(options.connect));
  const CallContext context = connection->context();
  const auto directory = TRY(target_directory(options, connection->files(), context, target));

  Progress progress("put", SystemClock::instance());
  const Transfer transfer{connection->files(), context, progress, options.preserve};
  CopyJobs jobs(options.jobs, progress);
  PutTree tree(transfer, jobs);
  for (const std::string& source : sources) {
    Place place;
    if (directory) {
      std::filesystem::path last = std::filesystem::path(source).lexically_normal();
      if (last.filename().empty()) last = last.parent_path();
      place = {*directory, last.filename().string()};
      if (source == "-" || place.name.empty() || place.name == "." || place.name == "..")
        return fail(Errc::invalid, fmt::format("{}: name the target file", source));
    } else {
      place = TRY(resolve_place(connection->files(), context, target));
    }
    if (source == "-") {
      jobs.add("-", [&transfer, place] {
        return put_file(transfer, STDIN_FILENO, place.parent.inode, place.name);
      });
      continue;
    }
    if (progress.is_shown()) expect_all(progress, source);
    // A link named on the command line is what it points to, as for cp.
    const std::filesystem::path real = std::filesystem::is_symlink(source) && !options.recursive
                                           ? std::filesystem::canonical(source)
                                           : std::filesystem::path(source);
    tree.put(real, place.parent.inode, place.name);
  }
  TRY(jobs.finish());
  TRY(tree.finish());
  return connection->files().sync(context);
}

}  // namespace

void add_put_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("put", "Copy files and trees into the file system");
  const auto options = std::make_shared<TransferOptions>();
  add_transfer_options(*command, *options, "Sources on this machine (- is stdin), then the target");
  add_examples(*command,
               "  dfs put report.pdf /reports/\n"
               "  dfs put -r ./photos /photos\n"
               "  pg_dump db | dfs put - /backup/db.sql");
  command->callback([options, &choice] { choice.set([options] { return put(*options); }); });
}

}  // namespace dfs::cli
