#include "common/client/write_log_reader.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/unique_fd.h"

namespace dfs {
namespace {

constexpr std::uint64_t kDamagesToldMax = 16;

Result<void> read_at(int file, std::uint64_t offset, MutableBuffer into, const std::string& name) {
  while (!into.empty()) {
    const ssize_t count = ::pread(file, into.data(), into.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "reading " + name);
    if (count == 0) return fail(Errc::io, name + " is shorter than it was");
    offset += static_cast<std::uint64_t>(count);
    into = into.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<UniqueFd> open_for_reading(const std::filesystem::path& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno, "opening " + path.string());
  return file;
}

Result<std::vector<std::byte>> read_whole(const std::filesystem::path& path) {
  const UniqueFd file = TRY(open_for_reading(path));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return fail_errno(errno, "looking at " + path.string());
  std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
  TRY(read_at(file.get(), 0, bytes, path.string()));
  return bytes;
}

Result<void> truncate_to(const std::filesystem::path& path, std::uint64_t length) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno, "opening " + path.string());
  if (::ftruncate(file.get(), static_cast<off_t>(length)) != 0 || ::fsync(file.get()) != 0)
    return fail_errno(errno, "cutting the end off " + path.string());
  return {};
}

class Reader {
 public:
  Reader(std::filesystem::path directory, std::string_view cluster)
      : directory_(std::move(directory)), cluster_(cluster) {}

  Result<FormerWrites> read() {
    const std::vector<std::uint64_t> numbers = TRY(list_segments(directory_));
    for (const std::uint64_t number : numbers) TRY(read_segment(number, number == numbers.back()));
    std::erase_if(found_.files, [](const auto& entry) { return entry.second.ranges.empty(); });
    found_.last_sequence = next_ > 0 ? next_ - 1 : 0;
    if (damages_ > found_.damage.size())
      found_.damage.push_back(fmt::format("and {} more", damages_ - found_.damage.size()));
    return std::move(found_);
  }

 private:
  Result<void> read_segment(std::uint64_t number, bool is_last) {
    const std::filesystem::path path = segment_path(directory_, number);
    found_.segments.push_back(path);
    first_sequences_.push_back(0);
    found_.last_segment = number;
    bytes_ = TRY(read_whole(path));
    const auto header = parse_segment_header(bytes_);
    if (!header) {
      const bool was_begun = bytes_.size() > sizeof(LogSegmentHeader);
      if (!is_last || was_begun) damaged(path, 0);
      return {};
    }
    TRY(check(*header, path));
    if (next_ != 0 && header->first_sequence != next_) damaged(path, 0);
    next_ = first_sequences_.back() = header->first_sequence;
    if (header->session.session != 0) found_.session = header->session;
    return read_records(path, header->salt, is_last);
  }

  Result<void> check(const LogSegmentHeader& header, const std::filesystem::path& path) const {
    if (header.version != kLogVersion)
      return fail(Errc::wrong_version,
                  fmt::format("{} has layout {} and this program knows {}: mount once with the "
                              "program that wrote it, which sends what waits there",
                              path.string(), header.version, kLogVersion));
    if (cluster_of(header) != cluster_)
      return fail(Errc::wrong_cluster,
                  fmt::format("{} belongs to a mount of cluster {}, and this is cluster {}: use "
                              "another directory, or mount that cluster to have its bytes sent",
                              path.string(), cluster_of(header), cluster_));
    return {};
  }

  Result<void> read_records(const std::filesystem::path& path, std::uint64_t salt, bool is_last) {
    std::uint64_t at = sizeof(LogSegmentHeader);
    while (at < bytes_.size()) {
      const auto record = parse_record(BufferView(bytes_).subspan(at), salt);
      if (record && record->header.sequence == next_) {
        take(*record, at);
        at += log_record_bytes(record->header);
        ++next_;
        continue;
      }
      const Later later = find_later(at + kLogAlignment, salt);
      const bool was_stable = !is_last || later.knows_it_stable;
      if (is_last && !was_stable) return truncate_to(path, at);
      // In all others that is how they end, if the next one begins where it should.
      if (!later.first) break;
      damaged(path, at);
      at = later.first->at;
      next_ = later.first->sequence;
    }
    return {};
  }

  // What is whole behind `from`, and whether any of it was written when the record that is
  // expected now was on stable media: then that was damaged, else never finished.
  struct Place {
    std::uint64_t at;
    std::uint64_t sequence;
  };
  struct Later {
    std::optional<Place> first;
    bool knows_it_stable = false;
  };
  Later find_later(std::uint64_t from, std::uint64_t salt) const {
    Later later;
    for (std::uint64_t at = from; at + sizeof(LogRecordHeader) <= bytes_.size();
         at += kLogAlignment) {
      const auto record = parse_record(BufferView(bytes_).subspan(at), salt);
      if (!record || record->header.sequence <= next_) continue;
      if (!later.first) later.first = Place{at, record->header.sequence};
      later.knows_it_stable = record->header.stable >= next_;
      if (later.knows_it_stable) break;
    }
    return later;
  }

  void damaged(const std::filesystem::path& path, std::uint64_t at) {
    if (++damages_ <= kDamagesToldMax)
      found_.damage.push_back(fmt::format(
          "{} is damaged at byte {}: writes that had been acknowledged are lost", path.string(), at));
    for (auto& [inode, file] : found_.files) file.is_doubtful = true;
  }

  void take(const LogRecord& record, std::uint64_t at) {
    const LogRecordHeader& header = record.header;
    const InodeId inode{header.inode};
    const auto nothing = [](const LoggedFile::Ranges::Range&) {};
    switch (header.kind) {
      case LogKind::write: {
        LoggedFile& file = found_.files[inode];
        learn(file, header);
        file.ranges.insert({header.number, header.length, found_.segments.size() - 1,
                            at + sizeof header}, nothing);
        return;
      }
      case LogKind::cut: {
        const auto file = found_.files.find(inode);
        if (file == found_.files.end()) return;
        for (const LogRange& range : ranges_of(record))
          file->second.ranges.erase(range.offset, range.length, nothing);
        if (file->second.ranges.empty()) found_.files.erase(file);
        return;
      }
      case LogKind::facts: {
        const auto file = found_.files.find(inode);
        if (file != found_.files.end()) learn(file->second, header);
        return;
      }
      case LogKind::intent: {
        const auto file = found_.files.find(inode);
        if (file == found_.files.end()) return;
        file->second.facts.data_change = header.data_change;
        file->second.intent = ChunkId{header.number};
        return;
      }
      case LogKind::settled:
        settle(header.number);
        return;
      case LogKind::session:
        found_.session = SessionMemo{header.inode, header.number, header.data_change};
        return;
    }
  }

  static void learn(LoggedFile& file, const LogRecordHeader& header) {
    const UnsentFacts facts = facts_of(header);
    if (facts.data_change != file.facts.data_change) file.intent.reset();
    file.facts = facts;
  }

  // What is in segments that end before.
  void settle(std::uint64_t sequence) {
    for (auto& [inode, file] : found_.files) {
      std::vector<LoggedFile::Ranges::Range> old;
      file.ranges.visit(0, UINT64_MAX, [&](const auto& range) {
        if (first_sequences_[range.source] < sequence) old.push_back(range);
      });
      for (const auto& range : old) file.ranges.erase(range.offset, range.length, [](const auto&) {});
    }
  }

  FormerWrites found_;
  std::filesystem::path directory_;
  std::string_view cluster_;
  std::vector<std::byte> bytes_;                 // of the segment at hand
  std::vector<std::uint64_t> first_sequences_;   // of all so far
  std::uint64_t next_ = 0;        // the sequence that comes next; 0: any
  std::uint64_t damages_ = 0;
};

}  // namespace

std::uint64_t FormerWrites::bytes() const {
  std::uint64_t all = 0;
  for (const auto& [inode, file] : files) all += file.ranges.bytes();
  return all;
}

Result<FormerWrites> read_write_log(const std::filesystem::path& directory,
                                    std::string_view cluster) {
  return Reader(directory, cluster).read();
}

Result<void> read_logged(const FormerWrites& former, const LoggedFile::Ranges::Range& range,
                         MutableBuffer into) {
  const std::filesystem::path& path = former.segments[range.source];
  const UniqueFd file = TRY(open_for_reading(path));
  return read_at(file.get(), range.source_offset, into, path.string());
}

}  // namespace dfs
