#include "tests/sim/file_book.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "common/base/checksum.h"

namespace dfs::sim {
namespace {

std::uint64_t stamp(const std::string& file, std::size_t page, FileBook::Version version) {
  if (version == 0) return 0;
  const std::string text = fmt::format("{} {} {}", file, page, version);
  return checksum_of(as_bytes(text)) << 16 | (version & 0xffff);
}

// The version that all of a page's bytes are of.
std::optional<FileBook::Version> version_of(const std::string& file, std::size_t page, BufferView bytes) {
  std::vector<std::uint64_t> words(FileBook::kPageBytes / sizeof(std::uint64_t));
  if (!bytes.empty()) std::memcpy(words.data(), bytes.data(), bytes.size());
  if (!std::ranges::all_of(words, [&](std::uint64_t word) { return word == words.front(); })) return std::nullopt;
  const auto version = static_cast<FileBook::Version>(words.front() & 0xffff);
  if (stamp(file, page, version) != words.front()) return std::nullopt;
  return version;
}

}  // namespace

std::vector<std::byte> FileBook::bytes_of(const std::string& file, std::size_t page, std::size_t pages,
                                          Version version) {
  std::vector<std::byte> bytes(pages * kPageBytes);
  for (std::size_t i = 0; i < pages; ++i) {
    const std::uint64_t word = stamp(file, page + i, version);
    for (std::size_t at = i * kPageBytes; at < (i + 1) * kPageBytes; at += sizeof word)
      std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  return bytes;
}

FileBook::Version FileBook::begin_write(const std::string& file, std::size_t page, std::size_t pages) {
  return files_.with([&](Files& files) {
    File& of = files[file];
    const Version version = ++of.last;
    for (std::size_t i = page; i < page + pages; ++i) {
      of.pages[i].may_hold.insert(version);
      of.pages[i].holds.reset();
    }
    return version;
  });
}

void FileBook::end_write(const std::string& file, std::size_t page, std::size_t pages, Version version) {
  files_.with([&](Files& files) {
    for (std::size_t i = page; i < page + pages; ++i) files[file].pages[i].holds = version;
  });
}

void FileBook::doubt(const std::string& file) {
  files_.with([&](Files& files) {
    for (Page& page : files[file].pages)
      if (page.may_hold.size() > 1) page.holds.reset();
  });
}

void FileBook::safe(const std::string& file) {
  files_.with([&](Files& files) {
    File& of = files[file];
    of.named = true;
    for (Page& page : of.pages)
      if (page.holds) page.may_hold = {*page.holds};
  });
}

void FileBook::doubt_all() {
  for (const std::string& file : files()) doubt(file);
}

bool FileBook::is_safe(const std::string& file, std::size_t page) const {
  return files_.with([&](const Files& files) {
    const auto found = files.find(file);
    return found != files.end() && found->second.pages[page].may_hold.size() == 1;
  });
}

bool FileBook::is_named(const std::string& file) const {
  return files_.with([&](const Files& files) {
    const auto found = files.find(file);
    return found != files.end() && found->second.named;
  });
}

std::vector<std::string> FileBook::files() const {
  return files_.with([](const Files& files) {
    std::vector<std::string> names;
    for (const auto& [name, file] : files) names.push_back(name);
    return names;
  });
}

FileBook::Allowed FileBook::allowed(const std::string& file) const {
  return files_.with([&](const Files& files) {
    Allowed allowed{.pages = std::vector<std::set<Version>>(kPages, {0}), .last = 0};
    const auto found = files.find(file);
    if (found == files.end()) return allowed;
    allowed.last = found->second.last;
    for (std::size_t i = 0; i < kPages; ++i) {
      const Page& page = found->second.pages[i];
      allowed.pages[i] = page.holds && !losses_ ? std::set<Version>{*page.holds} : page.may_hold;
    }
    return allowed;
  });
}

std::string FileBook::check(const std::string& file, std::size_t page, std::size_t pages, BufferView bytes,
                            const Allowed& before) const {
  const Allowed after = allowed(file);
  for (std::size_t i = 0; i < pages; ++i) {
    const std::size_t begin = std::min<std::size_t>(i * kPageBytes, bytes.size());
    const BufferView of_page = bytes.subspan(begin, std::min<std::size_t>(kPageBytes, bytes.size() - begin));
    const std::optional<Version> version = version_of(file, page + i, of_page);
    const bool meanwhile = version > before.last;
    if (version && (meanwhile || before.pages[page + i].contains(*version) || after.pages[page + i].contains(*version)))
      continue;
    std::string may;
    for (const Version each : after.pages[page + i]) may += fmt::format(" {}", each);
    return fmt::format("page {} of {} holds {}, but may hold{}", page + i, file,
                       version ? fmt::format("{}", *version) : "bytes that nobody wrote", may);
  }
  return {};
}

}  // namespace dfs::sim
