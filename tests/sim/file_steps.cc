#include "tests/sim/file_steps.h"

#include <fmt/format.h>

namespace dfs::sim {
namespace {

constexpr std::size_t kFilesPerProgram = 2;
constexpr std::size_t kPagesPerStep = 6;

}  // namespace

std::string FileSteps::name_of(std::size_t file) const { return fmt::format("file-{}-{}", number_, file); }

void FileSteps::step(std::size_t number) {
  model::Dice dice(seed_, (number_ << 16) + number + 1'000);
  const std::string mine = name_of(dice.below(kFilesPerProgram));
  switch (dice.below(10)) {
    case 0:
    case 1:
    case 2: return write(mine, dice);
    case 3:
    case 4: return fsync(mine);
    case 5: return read(mine, dice);
    case 6:
    case 7:
    case 8: {
      const auto all = book_.files();
      if (!all.empty()) read(all[dice.below(all.size())], dice);
      return;
    }
    default: return close(mine);
  }
}

OpenFilePtr FileSteps::open(const std::string& name) {
  if (const auto found = open_.find(name); found != open_.end()) return found->second;
  // Somebody else may make it, and make it safe, before this is answered.
  const bool was_named = book_.is_named(name);
  auto made = desk_.files->create(kRootInode, name, 0644, false, {.read = true, .write = true}, context());
  if (!made) {
    failed(name, "open", made.error());
    return nullptr;
  }
  if (made->created && was_named)
    problem_ = fmt::format("{} was made safe by fsync and is not there any more", name);
  return open_[name] = made->file;
}

void FileSteps::write(const std::string& name, model::Dice& dice) {
  const OpenFilePtr file = open(name);
  if (file == nullptr) return;
  const std::size_t page = dice.below(FileBook::kPages);
  const std::size_t pages = 1 + dice.below(std::min(kPagesPerStep, FileBook::kPages - page));
  const FileBook::Version version = book_.begin_write(name, page, pages);
  const auto bytes = FileBook::bytes_of(name, page, pages, version);
  trace_.add(fmt::format("{}: write {} of pages {} to {}", name, version, page, page + pages - 1));
  const std::size_t before = desk_.sessions_replaced;
  const auto written = desk_.files->write(*file, page * FileBook::kPageBytes, bytes, context());
  if (!written) return failed(name, "write", written.error());
  if (desk_.sessions_replaced == before) book_.end_write(name, page, pages, version);
}

void FileSteps::fsync(const std::string& name) {
  const OpenFilePtr file = open(name);
  if (file == nullptr) return;
  const std::size_t before = desk_.sessions_replaced;
  const auto synced = desk_.files->fsync(*file, context());
  if (!synced) return failed(name, "fsync", synced.error());
  trace_.add(fmt::format("{}: fsync", name));
  if (desk_.sessions_replaced != before) return;
  book_.safe(name);
}

void FileSteps::read(const std::string& name, model::Dice& dice) {
  const OpenFilePtr file = open(name);
  if (file == nullptr) return;
  const std::size_t page = dice.below(FileBook::kPages);
  const std::size_t pages = 1 + dice.below(std::min(kPagesPerStep, FileBook::kPages - page));
  const FileBook::Allowed before = book_.allowed(name);
  const auto bytes = read_pages(*desk_.files, *file, page, pages, context());
  if (!bytes) {
    trace_.add(fmt::format("{}: read: {}", name, bytes.error().to_string()));
    return;
  }
  trace_.add(fmt::format("{}: read pages {} to {}", name, page, page + pages - 1));
  const std::string wrong = book_.check(name, page, pages, *bytes, before);
  if (!wrong.empty() && problem_.empty()) problem_ = "read: " + wrong;
}

void FileSteps::close(const std::string& name) {
  const auto found = open_.find(name);
  if (found == open_.end()) return;
  const OpenFilePtr file = found->second;
  open_.erase(found);
  const auto flushed = desk_.files->flush(*file, context());
  desk_.files->close(file);
  if (!flushed) failed(name, "flush", flushed.error());
}

void FileSteps::failed(const std::string& name, const char* what, const Error& error) {
  trace_.add(fmt::format("{}: {}: {}", name, what, error.to_string()));
  book_.doubt(name);
  const auto found = open_.find(name);
  if (found == open_.end()) return;
  desk_.files->close(found->second);
  open_.erase(found);
}

void FileSteps::abandon() {
  for (const auto& [name, file] : open_) desk_.files->close(file);
  open_.clear();
  doubt_all();
  interrupt_ = std::make_unique<Interrupt>();
}

void FileSteps::doubt_all() {
  for (std::size_t file = 0; file < kFilesPerProgram; ++file) book_.doubt(name_of(file));
}

Result<std::vector<std::byte>> FileSteps::read_pages(FileSystem& files, OpenFile& file, std::size_t page,
                                                     std::size_t pages, const CallContext& context) {
  std::vector<std::byte> bytes(pages * FileBook::kPageBytes);
  const std::size_t got = TRY(files.read(file, page * FileBook::kPageBytes, bytes, context));
  bytes.resize(got);
  return bytes;
}

std::string FileSteps::read_all(FileSystem& files, const FileBook& book, Expect expect) {
  for (const std::string& name : book.files()) {
    const auto found = files.lookup(kRootInode, name, {});
    if (!found && !book.is_named(name)) continue;
    if (!found) return fmt::format("{} was made safe by fsync and is not there: {}", name, found.error().to_string());
    const auto opened = files.open(found->inode, {.read = true}, {});
    if (!opened) return fmt::format("{} cannot be opened: {}", name, opened.error().to_string());
    std::string wrong;
    for (std::size_t page = 0; page < FileBook::kPages && wrong.empty(); ++page)
      wrong = check_page({files, *opened->file, book, name, expect}, page);
    files.close(opened->file);
    if (!wrong.empty()) return (expect == Expect::all_that_is_safe ? "in the end " : "before it is healed ") + wrong;
  }
  return {};
}

// What was never made safe may be gone with all of its copies; then it is an error.
std::string FileSteps::check_page(const Checked& what, std::size_t page) {
  const FileBook::Allowed before = what.book.allowed(what.name);
  const auto bytes = read_pages(what.files, what.file, page, 1, {});
  if (bytes) return what.book.check(what.name, page, 1, *bytes, before);
  if (what.expect == Expect::no_wrong_bytes || !what.book.is_safe(what.name, page)) return {};
  return fmt::format("page {} of {} cannot be read: {}", page, what.name, bytes.error().to_string());
}

}  // namespace dfs::sim
