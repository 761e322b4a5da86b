#include "tests/sim/kernel.h"

#include <algorithm>
#include <cstring>

namespace dfs::sim {
namespace {

constexpr std::chrono::seconds kAWhile{1};

}  // namespace

// --- what is kept --------------------------------------------------------------------

bool Kernel::until_of(FileSystem::Keep keep, Until& until) const {
  if (caching_ == Caching::none || keep == FileSystem::Keep::no) return false;
  if (keep == FileSystem::Keep::for_a_while) until = clock_.now() + kAWhile;
  return true;
}

Kernel::Inode& Kernel::inode_locked(InodeId inode) {
  auto& known = inodes_[inode];
  if (known == nullptr) known = std::make_unique<Inode>();
  return *known;
}

// Within a Reply.
void Kernel::keep_name(const Place& place, InodeId inode, std::uint64_t epoch) {
  Name name{inode, epoch, {}};
  const bool kept = until_of(files_.keep_name(place.directory, place.name, inode), name.until);
  const std::lock_guard lock(mutex_);
  if (kept) names_[place] = name;
  else names_.erase(place);
}

// Within a Reply.
void Kernel::keep_attributes(const Attributes& attributes, std::uint64_t version) {
  Until until;
  const bool kept = until_of(files_.keep(attributes), until);
  const std::lock_guard lock(mutex_);
  Inode& inode = inode_locked(attributes.inode);
  if (inode.version != version) return;
  inode.size = attributes.size;
  inode.size_is_known = true;
  inode.attributes_are_kept = kept;
  inode.attributes_until = until;
}

std::uint64_t Kernel::version_of(InodeId inode) {
  const std::lock_guard lock(mutex_);
  return inode_locked(inode).version;
}

std::uint64_t Kernel::epoch() {
  const std::lock_guard lock(mutex_);
  return epoch_;
}

void Kernel::forget_attributes(InodeId inode) {
  const std::lock_guard lock(mutex_);
  Inode& known = inode_locked(inode);
  ++known.version;
  known.attributes_are_kept = false;
}

void Kernel::forget_names() {
  const std::lock_guard lock(mutex_);
  ++epoch_;
}

void Kernel::forget_pages(InodeId inode, const FileRange& range) {
  forget_attributes(inode);
  std::unique_lock lock(mutex_);
  Inode& known = inode_locked(inode);
  const std::uint64_t first = range.offset / kPageBytes;
  const std::uint64_t bytes_end = range.offset + std::min(range.length, kFileSizeMax - range.offset);
  const std::uint64_t end = bytes_end / kPageBytes + (bytes_end % kPageBytes != 0);
  for (std::uint64_t number = first;;) {
    const auto page = known.pages.lower_bound(number);
    if (page == known.pages.end() || page->first >= end) break;
    number = page->first;
    unlocked_.wait(lock, [&] { return !known.pages[number].locked; });
    known.pages.erase(number++);
  }
}

void Kernel::store(InodeId inode, std::uint64_t offset, BufferView bytes) {
  std::unique_lock lock(mutex_);
  Inode& known = inode_locked(inode);
  const std::uint64_t end = offset + bytes.size();
  if (end > known.size) {
    known.size = end;
    ++known.version;
    known.attributes_are_kept = false;
  }
  for (std::uint64_t at = offset; at < end;) {
    const std::uint64_t number = at / kPageBytes;
    const std::uint64_t within = at % kPageBytes;
    const std::uint64_t count = std::min(end - at, kPageBytes - within);
    unlocked_.wait(lock, [&] { return !known.pages[number].locked; });
    Page& page = known.pages[number];
    page.bytes.resize(kPageBytes, '\0');
    std::memcpy(page.bytes.data() + within, bytes.data() + (at - offset), count);
    if (within == 0 && (count == kPageBytes || known.size == end)) page.filled = true;
    at += count;
  }
}

// --- names -----------------------------------------------------------------------------

Result<InodeId> Kernel::resolve(const Place& place) {
  std::uint64_t asked_in = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto known = names_.find(place);
    if (known != names_.end() && known->second.epoch == epoch_ && !is_over(known->second.until))
      return known->second.inode;
    asked_in = epoch_;
  }
  const Result<Attributes> found = files_.lookup(place.directory, place.name, {});
  if (!found && found.error().code != Errc::not_found) return fail(found.error());
  const ReplyBarrier::Reply reply(files_.replies());
  const InodeId inode = found ? found->inode : InodeId{};
  keep_name(place, inode, asked_in);
  return inode;
}

void Kernel::drop_name(const Place& place) {
  const std::lock_guard lock(mutex_);
  names_.erase(place);
}

template <typename Call>
auto Kernel::with_stale_names_dropped(const std::vector<Place>& places, Call&& call) {
  auto result = call();
  if (result || result.error().code != Errc::stale) return result;
  for (const Place& place : places) drop_name(place);
  return call();
}

Result<InodeId> Kernel::lookup(const Place& place) {
  return with_stale_names_dropped({place}, [&]() -> Result<InodeId> {
    const InodeId inode = TRY(resolve(place));
    if (inode == InodeId{}) return fail(Errc::not_found);
    return inode;
  });
}

Result<InodeId> Kernel::create(const Place& place) {
  const std::lock_guard changing(changing_names_);
  const InodeId there = TRY(resolve(place));
  if (there != InodeId{}) return fail(Errc::exists);
  const std::uint64_t asked_in = epoch();
  OpenOptions options;
  options.write = true;
  const Created made = TRY(files_.create(place.directory, place.name, 0644, true, options, {}));
  {
    const ReplyBarrier::Reply reply(files_.replies());
    keep_name(place, made.attributes.inode, asked_in);
    keep_attributes(made.attributes, version_of(made.attributes.inode));
  }
  TRY(close({made.attributes.inode, made.file}));
  return made.attributes.inode;
}

Result<InodeId> Kernel::make_directory(const Place& place) {
  const Attributes made = TRY(files_.make_node(place.directory, place.name, FileType::directory, 0755, 0, {}));
  return made.inode;
}

Result<void> Kernel::unlink(const Place& place) {
  const std::lock_guard changing(changing_names_);
  return with_stale_names_dropped({place}, [&]() -> Result<void> {
    const InodeId there = TRY(resolve(place));
    if (there == InodeId{}) return fail(Errc::not_found);
    const Result<void> removed = files_.unlink(place.directory, place.name, {});
    if (removed || removed.error().code == Errc::not_found) drop_name(place);
    return removed;
  });
}

Result<void> Kernel::rename(const Place& from, const Place& to) {
  const std::lock_guard changing(changing_names_);
  return with_stale_names_dropped({from, to}, [&]() -> Result<void> {
    const InodeId there = TRY(resolve(from));
    if (there == InodeId{}) return fail(Errc::not_found);
    TRY(resolve(to));
    if (from == to) return {};
    RenameArgs args;
    args.parent = from.directory;
    args.name = from.name;
    args.new_parent = to.directory;
    args.new_name = to.name;
    TRY(files_.rename(args, {}));
    const std::lock_guard lock(mutex_);
    names_.erase(to);
    if (auto moved = names_.extract(from)) {
      moved.key() = to;
      names_.insert(std::move(moved));
    }
    return {};
  });
}

Result<std::vector<std::string>> Kernel::list(InodeId directory) {
  std::vector<std::string> names;
  for (std::uint64_t cookie = 0;;) {
    const std::uint64_t asked_in = epoch();
    const ReadDirResult page = TRY(files_.read_directory(directory, cookie, 2, {}));
    const ReplyBarrier::Reply reply(files_.replies());
    for (const Entry& entry : page.entries) {
      names.push_back(entry.name);
      cookie = entry.cookie;
      if (files_.keep(entry.attributes) != FileSystem::Keep::no)
        keep_name({directory, entry.name}, entry.attributes.inode, asked_in);
    }
    if (page.end || page.entries.empty()) return names;
  }
}

// --- contents --------------------------------------------------------------------------

Result<Kernel::File> Kernel::open(const Place& place, Opening opening) {
  return with_stale_names_dropped({place}, [&]() -> Result<File> {
    const InodeId inode = TRY(resolve(place));
    if (inode == InodeId{}) return fail(Errc::not_found);
    OpenOptions options;
    options.write = true;
    options.append = options.past_pages = opening == Opening::appending;
    options.direct = opening == Opening::direct;
    const Opened opened = TRY(files_.open(inode, options, {}));
    if (!opened.keep_cache) forget_pages(inode, {0, kFileSizeMax});
    return File{inode, opened.file, opening};
  });
}

Result<void> Kernel::close(const File& file) {
  const Result<void> flushed = files_.flush(*file.file, {});
  files_.close(file.file);
  return flushed;
}

Result<std::string> Kernel::ask(const File& file, std::uint64_t offset, std::uint64_t length) {
  std::string bytes(length, '\0');
  const std::size_t count =
      TRY(files_.read(*file.file, offset, MutableBuffer(reinterpret_cast<std::byte*>(bytes.data()), length), {}));
  bytes.resize(count);
  return bytes;
}

// As Linux knows it; it asks if that is not enough.
Result<std::uint64_t> Kernel::size_of(const File& file, std::uint64_t wanted) {
  std::uint64_t version = 0;
  {
    const std::lock_guard lock(mutex_);
    const Inode& inode = inode_locked(file.inode);
    const bool is_kept = inode.attributes_are_kept && !is_over(inode.attributes_until);
    if (inode.size_is_known && (is_kept || wanted <= inode.size)) return inode.size;
    version = inode.version;
  }
  const Attributes told = TRY(files_.get_attributes(file.inode, {}));
  {
    const ReplyBarrier::Reply reply(files_.replies());
    keep_attributes(told, version);
  }
  return told.size;
}

Result<std::string> Kernel::page_of(const File& file, std::uint64_t number) {
  std::unique_lock lock(mutex_);
  Inode& inode = inode_locked(file.inode);
  unlocked_.wait(lock, [&] { return !inode.pages[number].locked; });
  if (inode.pages[number].filled) return inode.pages[number].bytes;
  inode.pages[number].locked = true;
  lock.unlock();
  const Result<std::string> read = ask(file, number * kPageBytes, kPageBytes);
  lock.lock();
  Page& page = inode.pages[number];
  page.locked = false;
  unlocked_.notify_all();
  if (!read) {
    inode.pages.erase(number);
    return fail(read.error());
  }
  page.filled = true;
  page.bytes = *read;
  page.bytes.resize(kPageBytes, '\0');
  return page.bytes;
}

Result<std::string> Kernel::read(const File& file, std::uint64_t offset, std::uint64_t length) {
  if (file.opening != Opening::cached || caching_ == Caching::none) return ask(file, offset, length);
  const std::uint64_t size = TRY(size_of(file, offset + length));
  const std::uint64_t end = std::min(size, offset + length);
  std::string bytes;
  for (std::uint64_t at = offset; at < end;) {
    const std::string page = TRY(page_of(file, at / kPageBytes));
    const std::uint64_t within = at % kPageBytes;
    const std::uint64_t count = std::min(end - at, kPageBytes - within);
    bytes += page.substr(within, count);
    at += count;
  }
  return bytes;
}

Result<void> Kernel::write(const File& file, std::uint64_t offset, const std::string& data) {
  return write_through(file, offset, data);
}

Result<void> Kernel::append(const File& file, const std::string& data) {
  std::uint64_t end = 0;
  {
    const std::lock_guard lock(mutex_);
    end = inode_locked(file.inode).size;
  }
  return write_through(file, end, data);
}

Result<void> Kernel::write_through(const File& file, std::uint64_t offset, const std::string& data) {
  const BufferView bytes(reinterpret_cast<const std::byte*>(data.data()), data.size());
  CallContext context;
  context.append = file.opening == Opening::appending;
  if (caching_ == Caching::none) return files_.write(*file.file, offset, bytes, context);
  std::unique_lock lock(mutex_);
  Inode& inode = inode_locked(file.inode);
  lock.unlock();
  const std::lock_guard writing(inode.writing);
  const bool is_cached = file.opening == Opening::cached;
  std::vector<std::uint64_t> locked;
  if (is_cached) locked = fill_pages(inode, offset, data);
  else forget_pages(file.inode, {offset, data.size()});
  const Result<void> written = files_.write(*file.file, offset, bytes, context);
  if (is_cached) pages_written(inode, offset, data, locked, written.has_value());
  else forget_pages(file.inode, {offset, data.size()});
  lock.lock();
  ++inode.version;
  inode.attributes_are_kept = false;
  if (written) inode.size = std::max(inode.size, offset + data.size());
  return written;
}

std::vector<std::uint64_t> Kernel::fill_pages(Inode& inode, std::uint64_t offset, const std::string& data) {
  std::vector<std::uint64_t> locked;
  std::unique_lock lock(mutex_);
  for (std::uint64_t at = 0; at < data.size();) {
    const std::uint64_t number = (offset + at) / kPageBytes;
    const std::uint64_t within = (offset + at) % kPageBytes;
    const std::uint64_t count = std::min(data.size() - at, kPageBytes - within);
    unlocked_.wait(lock, [&] { return !inode.pages[number].locked; });
    Page& page = inode.pages[number];
    page.bytes.resize(kPageBytes, '\0');
    page.bytes.replace(within, count, data, at, count);
    if (!page.filled) {
      page.locked = true;
      locked.push_back(number);
    }
    at += count;
  }
  return locked;
}

void Kernel::pages_written(Inode& inode, std::uint64_t offset, const std::string& data,
                           const std::vector<std::uint64_t>& locked, bool succeeded) {
  const std::lock_guard lock(mutex_);
  for (const std::uint64_t number : locked) {
    Page& page = inode.pages[number];
    page.locked = false;
    const bool is_whole = offset <= number * kPageBytes && (number + 1) * kPageBytes <= offset + data.size();
    if (is_whole && succeeded) page.filled = true;
    else inode.pages.erase(number);
  }
  if (!succeeded)
    for (std::uint64_t number = offset / kPageBytes; number * kPageBytes < offset + data.size(); ++number)
      inode.pages.erase(number);
  unlocked_.notify_all();
}

}  // namespace dfs::sim
