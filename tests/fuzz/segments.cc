// Segments and the index beside them, as crashes, bad disks and other people's
// hands may leave them, and what a start makes of them.
//
// Input, one word and its numbers a line, for a store of a few small segments:
//
//   append CHUNK LENGTH   a record as the store writes it, at the end
//   seal                  the segment being written is sealed; the next begins
//   flip OFFSET BIT       in the segment being written, all of these
//   zero OFFSET LENGTH
//   copy FROM TO LENGTH
//   cut SIZE
//   header                its header, written again with the right checksum
//   row KEY VALUE         of the index, in hexadecimal digits
//   forget                the index
//   power SEED            what was not synced is lost in part
//   start                 recovery
//
// A start either says what is wrong or leaves a store in which the index and
// the segments say the same, and in which the next start finds nothing to do.
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/checksum.h"
#include "common/kv/memory_kv_store.h"
#include "server/storage/recovery.h"
#include "server/storage/segment_scan.h"
#include "tests/fuzz/input.h"
#include "tests/support/borrowed_kv_store.h"
#include "tests/support/fake_disk.h"

namespace dfs::fuzz {
namespace {

using namespace dfs::storage;

constexpr std::uint32_t kLengthMax = 3 * kBlockSize;
constexpr std::uint64_t kSegmentMax = 1 * MiB;
constexpr std::uint32_t kSegmentsMax = 4;
constexpr std::uint64_t kChunksMax = 7;
constexpr int kLinesMax = 64;
constexpr std::uint64_t kSalt = 0x5a17;

// Passes what an operation on memory answers, which has no reason to fail.
template <typename T>
T sure(Result<T> result) {
  invariant(result.has_value(), "the disk in memory does as it is told");
  return *std::move(result);
}
void sure(const Result<void>& result) {
  invariant(result.has_value(), "the disk in memory does as it is told");
}

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    unsigned value = 0;
    for (const char c : text.substr(at, 2))
      value = value << 4 | static_cast<unsigned>(c >= 'a' ? c - 'a' + 10 : c - '0');
    bytes += static_cast<char>(value);
  }
  return bytes;
}

class Store {
 public:
  Store() { begin_segment(); }

  // False: nothing more is to be looked at.
  bool step(std::string_view line) {
    Words words(line);
    const std::string_view what = words.word();
    if (what == "append") {
      const ChunkId chunk(GroupId{1}, 1 + words.number(kChunksMax));
      append(chunk, static_cast<std::uint32_t>(1 + words.number(kLengthMax - 1)));
    } else if (what == "seal") {
      seal();
    } else if (what == "flip") {
      const std::uint64_t offset = words.number(kSegmentMax);
      change(offset, 1, [&](std::byte* at) { *at ^= std::byte{1} << words.number(7); });
    } else if (what == "zero") {
      const std::uint64_t offset = words.number(kSegmentMax);
      const std::uint64_t length = words.number(kSegmentMax);
      change(offset, length, [&](std::byte* at) { *at = {}; });
    } else if (what == "copy") {
      const std::uint64_t from = words.number(kSegmentMax);
      const std::uint64_t to = words.number(kSegmentMax);
      copy(from, to, words.number(kSegmentMax));
    } else if (what == "cut") {
      sure(file_->truncate(words.number(kSegmentMax)));
      damaged_ = true;
    } else if (what == "header") {
      write_header(false);
    } else if (what == "row") {
      const std::string_view key = words.word();
      put_row(from_hex(key), from_hex(words.word()));
    } else if (what == "forget") {
      rows_ = std::make_unique<MemoryKvStore>();
    } else if (what == "power") {
      disk_.lose_power(static_cast<std::uint32_t>(words.number(0xffffffff)));
      rows_->lose_power();
      damaged_ = true;
      return reopen();
    } else if (what == "start") {
      return start();
    }
    return true;
  }

 private:
  struct Found {
    std::map<ChunkId, ChunkPlace> chunks;
    std::map<std::uint32_t, SegmentRow> segments;
    RecoveryReport report;
    friend bool operator==(const Found& a, const Found& b) {
      return a.chunks == b.chunks && a.segments == b.segments;
    }
  };

  void begin_segment() {
    file_ = sure(disk_.create(kDirectory / segment_file_name(number_)));
    sure(disk_.sync_directory(kDirectory));
    write_header(false);
    end_ = kSegmentHeaderBytes;
  }

  void write_header(bool sealed) {
    const SegmentHeaderBytes bytes = encode(
        SegmentHeader{.number = number_, .salt = kSalt + number_, .sealed = sealed, .end = sealed ? end_ : 0});
    const BufferView piece(bytes);
    sure(file_->write(0, {&piece, 1}));
  }

  void append(ChunkId chunk, std::uint32_t length) {
    if (end_ + record_bytes(length) > kSegmentMax) return;
    const std::vector<std::byte> data(length, static_cast<std::byte>(chunk.value() + serial_));
    const std::vector<Checksum> sums = block_checksums(data);
    const RecordHeaderBytes header = encode(RecordHeader{.meta = {.chunk = chunk, .length = length},
                                                         .serial = serial_++,
                                                         .place = end_,
                                                         .salt = kSalt + number_},
                                            sums);
    const BufferView front[] = {header, std::as_bytes(std::span(sums))};
    sure(file_->write(end_, front));
    const BufferView piece = data;
    sure(file_->write(end_ + data_start(length), {&piece, 1}));
    end_ += record_bytes(length);
    change(end_ - 1, 1, [](std::byte*) {});  // the record is whole blocks
  }

  void seal() {
    if (number_ == kSegmentsMax) return;
    write_header(true);
    sure(file_->sync());
    ++number_;
    begin_segment();
  }

  template <typename Change>
  void change(std::uint64_t offset, std::uint64_t length, Change change) {
    length = std::min(length, kSegmentMax - std::min(kSegmentMax, offset));
    if (length == 0) return;
    std::vector<std::byte> bytes(length);
    sure(file_->read(offset, bytes));
    const std::vector<std::byte> before = bytes;
    for (std::byte& byte : bytes) change(&byte);
    damaged_ = damaged_ || bytes != before;
    const BufferView piece = bytes;
    sure(file_->write(offset, {&piece, 1}));
  }

  void copy(std::uint64_t from, std::uint64_t to, std::uint64_t length) {
    length = std::min({length, kSegmentMax - from, kSegmentMax - to});
    if (length == 0) return;
    std::vector<std::byte> bytes(length);
    sure(file_->read(from, bytes));
    const BufferView piece = bytes;
    sure(file_->write(to, {&piece, 1}));
    damaged_ = true;
  }

  void put_row(std::string key, std::string value) {
    KvBatch batch;
    batch.put(std::move(key), std::move(value));
    sure(rows_->write(batch, KvDurability::stable));
    strange_rows_ = true;
  }

  // The segment that was being written, as it is now; false if it is gone.
  bool reopen() {
    auto file = disk_.open(kDirectory / segment_file_name(number_));
    if (!file) return false;
    file_ = *std::move(file);
    return true;
  }

  bool start() {
    const auto first = recover_once();
    if (!first) {
      invariant(!first.error().text.empty(), "a start that fails says why");
      invariant(strange_rows_ || first.error().code == Errc::corrupt, "only damage keeps a store from starting");
      return false;
    }
    if (!strange_rows_) check(*first);
    const auto second = recover_once();
    invariant(second.has_value(), "what one start left, the next one takes");
    if (strange_rows_) return false;
    invariant(*second == *first, "the next start sees the same");
    invariant(second->report.records_found == 0 && second->report.torn == 0, "nothing is left to do");
    if (!reopen()) return false;
    end_ = sure(file_->size());
    return true;
  }

  Result<Found> recover_once() {
    SegmentSet segments(disk_, {.directory = kDirectory, .segment_bytes = kSegmentMax});
    ChunkIndex index(std::make_unique<BorrowedKvStore>(*rows_));
    Found found;
    found.report = TRY(recover(disk_, kDirectory, segments, index));
    const auto listed = TRY(index.list(ChunkId{}, 1000));
    for (const ChunkIndex::Listed& chunk : listed) {
      const auto indexed = TRY(index.find(chunk.chunk));
      invariant(indexed && indexed->ticket == 0, "what is listed is found, in a row");
      found.chunks[chunk.chunk] = indexed->place;
    }
    found.segments = segments.rows();
    return found;
  }

  void check(const Found& found) {
    std::map<std::uint32_t, std::uint64_t> records;
    std::map<std::uint32_t, std::uint64_t> bytes;
    for (const auto& [chunk, place] : found.chunks) {
      ++records[place.segment];
      bytes[place.segment] += record_bytes(place.length);
      if (damaged_) continue;
      const auto file = sure(disk_.open(kDirectory / segment_file_name(place.segment)));
      const auto record = sure(read_record_header(*file, place.offset));
      invariant(record && record->meta.chunk == chunk && record->meta.length == place.length,
                "a row points to a record of its chunk");
    }
    for (const auto& [number, row] : found.segments) {
      invariant(row.live_records == records[number], "a segment's account counts its records");
      invariant(row.live_bytes == bytes[number], "and their bytes");
    }
  }

  static inline const std::filesystem::path kDirectory = "/segments";

  FakeDisk disk_;
  std::unique_ptr<MemoryKvStore> rows_ = std::make_unique<MemoryKvStore>();
  std::shared_ptr<DiskFile> file_;  // of the segment being written
  std::uint32_t number_ = 1;
  std::uint64_t end_ = 0;
  std::uint64_t serial_ = 1;
  bool damaged_ = false;       // something was changed that no store changes
  bool strange_rows_ = false;  // or a row was
};

void run(std::string_view input) {
  Store store;
  for (int line = 0; line < kLinesMax && !input.empty(); ++line) {
    if (!store.step(take_line(input))) return;
  }
  store.step("start");
}

}  // namespace
}  // namespace dfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dfs::fuzz::run(dfs::fuzz::text_of(data, size));
  return 0;
}
