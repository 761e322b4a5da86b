#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>

#include "fuse/operations.h"
#include "fuse/request_hints.h"
#include "fuse/worker_pool.h"

namespace dfs::fuse {
namespace {

enum class Style { names, with_attributes };

// One fetch fills the kernel's buffer, roughly; entries of common names take
// this many bytes of it.
constexpr std::size_t kBytesPerName = 40;
constexpr std::size_t kBytesPerEntry = 176;
constexpr std::size_t kEntriesPerFetchMin = 64;
constexpr std::size_t kEntriesPerFetchMax = 1024;

// Collects entries in the form the kernel reads them.
class Listing {
 public:
  Listing(Request& request, InodeId directory, Style style, MutableBuffer room)
      : request_(request), directory_(directory), style_(style), room_(room) {}

  // False if there is no room left; then nothing was added.
  bool add(const Entry& entry, std::uint64_t next_offset) {
    if (request_.files().keep(entry.attributes) == FileSystem::Keep::no)
      return add_number(entry.name.c_str(), entry.attributes, next_offset);
    return append(entry.name.c_str(),
                  request_.entry_of(directory_, entry.name, entry.attributes), next_offset);
  }
  bool add_dots(const char* name, InodeId inode, std::uint64_t next_offset) {
    Attributes directory;
    directory.inode = inode;
    directory.type = FileType::directory;
    return add_number(name, directory, next_offset);
  }
  bool empty() const { return used_ == 0; }
  BufferView bytes() const { return room_.first(used_); }

 private:
  // With an inode number and a type, but nothing the kernel shall remember.
  bool add_number(const char* name, const Attributes& attributes, std::uint64_t next_offset) {
    fuse_entry_param entry{};
    entry.attr.st_ino = attributes.inode.value();
    entry.attr.st_mode = to_stat(attributes).st_mode & S_IFMT;
    return append(name, entry, next_offset);
  }

  bool append(const char* name, const fuse_entry_param& entry, std::uint64_t next_offset) {
    char* const at = reinterpret_cast<char*>(room_.data()) + used_;
    const std::size_t left = room_.size() - used_;
    const auto offset = static_cast<off_t>(next_offset);
    // Both answer with what they need, and write nothing if that is too much.
    const std::size_t needed =
        style_ == Style::names
            ? fuse_add_direntry(nullptr, at, left, name, &entry.attr, offset)
            : fuse_add_direntry_plus(nullptr, at, left, name, &entry, offset);
    if (needed > left) return false;
    used_ += needed;
    return true;
  }

  Request& request_;
  const InodeId directory_;
  const Style style_;
  const MutableBuffer room_;
  std::size_t used_ = 0;
};

std::uint32_t entries_for(std::size_t bytes, Style style) {
  const std::size_t each = style == Style::names ? kBytesPerName : kBytesPerEntry;
  return static_cast<std::uint32_t>(
      std::clamp(bytes / each, kEntriesPerFetchMin, kEntriesPerFetchMax));
}

bool still_true(const SessionState& state, const DirectoryPage& page) {
  return page.changes == state.changes.load(std::memory_order_acquire) &&
         state.clock.now() - page.fetched < state.config.entry_timeout;
}

Result<DirectoryPage> page_after(Request& request, DirectoryHandle& directory,
                                 std::uint64_t cookie, std::uint32_t entries_max) {
  SessionState& state = request.state();
  if (auto kept = directory.take_page(cookie); kept && still_true(state, *kept)) {
    return *std::move(kept);
  }
  DirectoryPage page;
  page.after = cookie;
  page.changes = state.changes.load(std::memory_order_acquire);
  page.fetched = state.clock.now();
  CallContext context = request.context();
  context.keeps_access_time = directory.keeps_access_time();
  page.listing =
      TRY(request.files().read_directory(directory.inode(), cookie, entries_max, context));
  return page;
}

// Adds what is left of `page`. False if there was no room for all of it.
Result<bool> add_page(Listing& listing, DirectoryPage& page) {
  for (; page.next < page.listing.entries.size(); ++page.next) {
    const Entry& entry = page.listing.entries[page.next];
    if (entry.cookie > kCookieMax) return fail(Errc::bad_message, "a cookie is too large");
    if (!listing.add(entry, entry.cookie + kOffsetAfterDotDot)) return false;
    page.after = entry.cookie;
  }
  return true;
}

Result<void> fill(Listing& listing, DirectoryHandle& directory, DirectoryPage page,
                  std::uint64_t offset) {
  bool room = true;
  if (offset < kOffsetAfterDot) room = listing.add_dots(".", directory.inode(), kOffsetAfterDot);
  if (room && offset < kOffsetAfterDotDot) {
    room = listing.add_dots("..", page.listing.parent, kOffsetAfterDotDot);
  }
  if (room) room = TRY(add_page(listing, page));
  if (!room || page.listing.end) directory.keep_page(std::move(page));
  return {};
}

void end_fill(SessionState& state, DirectoryHandle& directory) {
  if (directory.is_filling.exchange(false)) state.listing_fills.end(directory.inode());
}

void list(Request& request, fuse_file_info* info, Style style, std::size_t size, off_t offset) {
  DirectoryHandle& directory = request.state().open_directories.get(info->fh);
  end_fill(request.state(), directory);
  const MutableBuffer room = WorkerPool::payload();
  const auto at = static_cast<std::uint64_t>(offset);
  const std::uint64_t cookie = at > kOffsetAfterDotDot ? at - kOffsetAfterDotDot : 0;
  Result<DirectoryPage> page = page_after(request, directory, cookie, entries_for(size, style));
  if (!page) return request.reply_error(page.error());

  const ReplyBarrier::Reply reply(request.files().replies());
  Listing listing(request, directory.inode(), style, room.first(std::min(size, room.size())));
  const Result<void> filled = fill(listing, directory, *std::move(page), at);
  if (!filled) return request.reply_error(filled.error());
  if (directory.is_cached && !listing.bytes().empty()) {
    directory.is_filling = true;
    request.state().listing_fills.begin(directory.inode());
  }
  request.reply_bytes(listing.bytes());
}

}  // namespace

void reopen_directory(SessionState& state, const HandleRecord& record) {
  const bool keeps_access_time = (record.flags & O_NOATIME) != 0;
  auto directory = std::make_unique<DirectoryHandle>(InodeId{record.inode}, keeps_access_time);
  directory->is_cached = true;  // as far as anybody knows
  state.open_directories.put(record.number, std::move(directory));
}

void do_opendir(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info) {
  Request request(handle, Operation::opendir, InodeId{inode});
  SessionState& state = request.state();
  if (current_hints().is_repeated) {
    if (const auto untold = state.memory.handles().take_made_for(current_hints().number))
      state.open_directories.take(*untold);
  }
  const bool keeps_access_time = (info->flags & O_NOATIME) != 0;
  if (state.config.names_are_known) {
    CallContext context = request.context();
    context.keeps_access_time = keeps_access_time;
    const OpenedDirectory known = state.listing_fills.opened(
        InodeId{inode}, request.files().open_directory(InodeId{inode}, context));
    info->cache_readdir = known.may_keep;
    info->keep_cache = known.is_kept;
  }
  auto opened = std::make_unique<DirectoryHandle>(InodeId{inode}, keeps_access_time);
  opened->is_cached = info->cache_readdir != 0;
  HandleRecord record{};
  record.kind = HandleRecord::directory;
  record.inode = inode;
  record.flags = info->flags;
  record.made_for = current_hints().number;
  const auto number = state.open_directories.add(opened, record);
  if (!number) return request.reply_error({Errc::no_memory, "too much is open"});
  info->fh = *number;
  if (!request.reply_open(*info)) state.open_directories.take(info->fh);
}

void do_readdir(fuse_req_t handle, fuse_ino_t inode, std::size_t size, off_t offset,
                fuse_file_info* info) {
  Request request(handle, Operation::readdir, InodeId{inode});
  list(request, info, Style::names, size, offset);
}

void do_readdirplus(fuse_req_t handle, fuse_ino_t inode, std::size_t size, off_t offset,
                    fuse_file_info* info) {
  Request request(handle, Operation::readdirplus, InodeId{inode});
  list(request, info, Style::with_attributes, size, offset);
}

void do_releasedir(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info) {
  Request request(handle, Operation::releasedir, InodeId{inode});
  end_fill(request.state(), request.state().open_directories.get(info->fh));
  request.state().open_directories.take(info->fh);
  request.reply({});
}

void do_fsyncdir(fuse_req_t handle, fuse_ino_t inode, int, fuse_file_info*) {
  Request request(handle, Operation::fsyncdir, InodeId{inode});
  request.reply(request.files().fsync_directory(InodeId{inode}, request.context()));
}

}  // namespace dfs::fuse
