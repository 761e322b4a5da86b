#include "server/storage/chunk_store.h"

#include <algorithm>
#include <future>

#include <fmt/format.h>

#include "common/base/log.h"
#include "server/storage/recovery.h"

namespace dfs::storage {
namespace {

// When this many checkpoints' worth of chunks is young, putting waits for one.
constexpr std::size_t kYoungLimitFactor = 4;

std::uint64_t bytes_of(std::span<const BufferView> pieces) {
  std::uint64_t bytes = 0;
  for (const BufferView piece : pieces) bytes += piece.size();
  return bytes;
}

Result<void> check_meta(const ChunkMeta& meta) {
  if (meta.chunk.serial() == 0) return fail(Errc::invalid, "a chunk id without a serial number");
  if (meta.length == 0 || meta.length > kChunkSizeMax)
    return fail(Errc::invalid, fmt::format("a chunk of {} bytes", meta.length));
  return {};
}

Error other_bytes(ChunkId chunk) {
  return {Errc::exists, "other bytes are stored as " + to_string(chunk)};
}

}  // namespace

// --- opening --------------------------------------------------------------------

Result<std::unique_ptr<ChunkStore>> ChunkStore::open(Disk& disk, const Clock& clock,
                                                     const ChunkStoreOptions& options,
                                                     const IndexOpener& open_index) {
  TRY(disk.make_directory(options.directory / "segments"));
  auto store = open_with(disk, clock, options, open_index, IndexStart::keep);
  if (store || store.error().code != Errc::corrupt) return store;
  log_warn("storage", "{}: the index is damaged and is rebuilt from the segments: {}",
           options.directory.string(), store.error().to_string());
  return open_with(disk, clock, options, open_index, IndexStart::fresh);
}

Result<std::unique_ptr<ChunkStore>> ChunkStore::open_with(Disk& disk, const Clock& clock,
                                                          const ChunkStoreOptions& options,
                                                          const IndexOpener& open_index,
                                                          IndexStart start) {
  auto rows = TRY(open_index(options.directory / "index", start));
  std::unique_ptr<ChunkStore> store(new ChunkStore(disk, clock, options, std::move(rows)));
  const RecoveryReport report =
      TRY(recover(disk, options.directory / "segments", store->segments_, store->index_));
  store->next_serial_ = report.next_serial;
  store->recovered_ = true;
  const auto totals = store->segments_.totals();
  log_info("storage",
           "opened {}: {} chunks, {} bytes in {} segments; {} records taken in, {} torn, {} bytes "
           "damaged",
           options.directory.string(), totals.records, totals.bytes, totals.segments,
           report.records_found, report.torn, report.damaged_bytes);
  return store;
}

ChunkStore::ChunkStore(Disk& disk, const Clock& clock, const ChunkStoreOptions& options,
                       std::unique_ptr<KvStore> rows)
    : disk_(disk),
      options_(options),
      segments_(disk, {.directory = options.directory / "segments",
                       .segment_bytes = options.segment_bytes,
                       .open_files_max = options.open_segments_max}),
      index_(std::move(rows)),
      space_(disk, options.directory, options.reserved_bytes),
      uploads_(clock),
      syncer_(std::make_unique<Syncer>(options.sync_queue_max)) {}

ChunkStore::~ChunkStore() {
  syncer_.reset();
  // What a recovery found that came to no end is in no segment's account.
  if (failed_ || !recovered_) return;
  if (const auto done = checkpoint(); !done) {
    log_warn("storage", "{}: no last checkpoint, the next start scans more: {}",
             options_.directory.string(), done.error().to_string());
  }
}

// --- storing whole chunks ---------------------------------------------------------

Result<void> ChunkStore::put(const ChunkMeta& meta, std::span<const Checksum> checksums,
                             std::span<const BufferView> data, Writer writer) {
  TRY(check_meta(meta));
  if (bytes_of(data) != meta.length) return fail(Errc::invalid, "the chunk's length is another one");
  if (!checksums_hold(data, checksums.data(), checksums.size()))
    return fail(Errc::corrupt, "the bytes do not match their checksums");
  TRY(relieve());
  Stored stored = TRY(put_once(meta, checksums, data, writer));
  if (stored == Stored::damaged) {
    TRY(erase({&meta.chunk, 1}));
    stored = TRY(put_once(meta, checksums, data, writer));
  }
  if (stored == Stored::other) return fail(other_bytes(meta.chunk));
  return {};
}

// What was there before; after `no` it is there now.
Result<ChunkStore::Stored> ChunkStore::put_once(const ChunkMeta& meta,
                                                std::span<const Checksum> checksums,
                                                std::span<const BufferView> data,
                                                Writer writer) {
  const auto claim = claims_.claim(meta.chunk);
  const Stored stored = TRY(compare(meta, checksums));
  if (stored != Stored::no) return stored;

  const auto place = TRY(reserve(meta, writer));
  const RecordHeader record{.meta = meta,
                            .serial = next_serial_++,
                            .place = place.offset,
                            .salt = place.segment->salt(),
                            .sums_checksum = 0};
  const RecordHeaderBytes header = encode(record, checksums);
  const std::uint64_t start = data_start(meta.length);
  static constexpr std::array<std::byte, kDiskBlock> kPadding{};
  const BufferView table = std::as_bytes(checksums);
  const BufferView padding =
      BufferView(kPadding).first(start - kRecordHeaderBytes - table.size());

  // One write for all of it; small chunks come in one piece.
  std::vector<BufferView> pieces;
  pieces.reserve(data.size() + 3);
  pieces.insert(pieces.end(), {BufferView(header), table, padding});
  pieces.insert(pieces.end(), data.begin(), data.end());
  const auto written = watch(place.segment->file().write(place.offset, pieces));
  if (!written) {
    give_up(place, record_bytes(meta.length));
    return fail(written.error());
  }
  keep(meta, place);
  return Stored::no;
}

Result<ChunkStore::Stored> ChunkStore::compare(const ChunkMeta& meta,
                                               std::span<const Checksum> checksums) {
  const auto known = TRY(find(meta.chunk));
  if (!known) return Stored::no;
  const auto file = TRY(segments_.files().open(known->place.segment));
  const auto table = read_table(*file, meta.chunk, known->place, ReadFrom::disk);
  if (table) {
    const bool same = table->header.meta.length == meta.length &&
                      std::equal(checksums.begin(), checksums.end(), table->checksums.begin(),
                                 table->checksums.end());
    return same ? Stored::same : Stored::other;
  }
  const Errc code = table.error().code;
  if (code == Errc::corrupt || code == Errc::not_found) return Stored::damaged;
  return fail(table.error());
}

Result<SegmentSet::Place> ChunkStore::reserve(const ChunkMeta& meta, Writer writer) {
  TRY(check_usable());
  const std::uint64_t bytes = record_bytes(meta.length);
  TRY(writer == Writer::client ? space_.admit(bytes) : space_.admit_copy(bytes));
  const Lane lane = meta.length <= options_.small_bytes_max ? Lane::small : Lane::bulk;
  auto place = segments_.reserve(lane, bytes);
  if (!place) {
    space_.written(bytes);
    TRY(watch(fail(place.error())));
  }
  return place;
}

void ChunkStore::keep(const ChunkMeta& meta, const SegmentSet::Place& place) {
  const std::uint64_t bytes = record_bytes(meta.length);
  const SyncTicket ticket = place.segment->written();
  index_.add(meta.chunk,
             {.segment = place.segment->number(), .length = meta.length, .offset = place.offset},
             ticket);
  place.segment->release(place.offset);
  young_bytes_ += bytes;
  space_.written(bytes);
}

void ChunkStore::give_up(const SegmentSet::Place& place, std::uint64_t bytes) {
  if (const auto punched = place.segment->file().punch(place.offset, bytes); !punched) {
    log_warn("storage", "{}: {} bytes of an unfinished chunk stay on disk: {}",
             options_.directory.string(), bytes, punched.error().to_string());
  }
  place.segment->release(place.offset);
  space_.written(bytes);
}

// --- storing in parts -----------------------------------------------------------------

Result<std::uint32_t> ChunkStore::begin(const ChunkMeta& meta) {
  TRY(check_meta(meta));
  TRY(relieve());
  if (const auto known = TRY(find(meta.chunk))) {
    if (known->place.length != meta.length) return fail(other_bytes(meta.chunk));
    const auto found = stat(meta.chunk);
    if (found) return meta.length;
    if (found.error().code != Errc::corrupt && found.error().code != Errc::not_found)
      return fail(found.error());
    TRY(erase({&meta.chunk, 1}));
  }
  auto upload = uploads_.find(meta.chunk);
  if (!upload) {
    const auto place = TRY(reserve(meta, Writer::client));
    const auto mine = std::make_shared<Upload>(meta, place);
    upload = uploads_.add(mine);
    if (upload != mine) give_up(place, record_bytes(meta.length));
  }
  if (upload->meta.length != meta.length) return fail(other_bytes(meta.chunk));
  const std::lock_guard lock(upload->mutex);
  return upload->have;
}

Result<std::uint32_t> ChunkStore::append(ChunkId chunk, std::uint32_t offset,
                                         std::span<const Checksum> checksums,
                                         std::span<const BufferView> data) {
  const std::uint64_t bytes = bytes_of(data);
  if (bytes == 0 || offset % kBlockSize != 0 || offset + bytes > kChunkSizeMax)
    return fail(Errc::bad_message, "the part does not start at a block of its chunk");
  if (!checksums_hold(data, checksums.data(), checksums.size()))
    return fail(Errc::corrupt, "the bytes do not match their checksums");

  const auto upload = uploads_.find(chunk);
  if (!upload) return append_again(chunk, offset, checksums);
  const std::lock_guard lock(upload->mutex);
  if (upload->over) return append_again(chunk, offset, checksums);
  const std::uint64_t end = offset + bytes;
  if (end > upload->meta.length || (end < upload->meta.length && end % kBlockSize != 0))
    return fail(Errc::bad_message, "the part does not end at a block of its chunk");
  if (offset > upload->have) return fail(Errc::bad_message, "a part of the chunk is missing");
  if (end <= upload->have) return upload->have;
  TRY(check_usable());

  DiskFile& file = upload->place.segment->file();
  const std::uint64_t at = upload->place.offset + data_start(upload->meta.length) + offset;
  if (const auto written = watch(file.write(at, data)); !written) {
    give_up_locked(*upload);
    return fail(written.error());
  }
  // The disk starts now, so that a later fdatasync finds little left to do.
  file.start_writeback(at, bytes);
  std::copy(checksums.begin(), checksums.end(), upload->checksums.begin() + offset / kBlockSize);
  upload->have = static_cast<std::uint32_t>(end);
  return upload->have;
}

// A part of a chunk that is stored already must be the same.
Result<std::uint32_t> ChunkStore::append_again(ChunkId chunk, std::uint32_t offset,
                                               std::span<const Checksum> checksums) {
  const auto known = TRY(find(chunk));
  if (!known) return fail(Errc::not_found, "no upload of " + to_string(chunk));
  const auto file = TRY(segments_.files().open(known->place.segment));
  const auto table = TRY(read_table(*file, chunk, known->place, ReadFrom::disk));
  const std::size_t first = offset / kBlockSize;
  if (first + checksums.size() > table.checksums.size() ||
      !std::equal(checksums.begin(), checksums.end(), table.checksums.begin() + first))
    return fail(other_bytes(chunk));
  return known->place.length;
}

Result<void> ChunkStore::finish(ChunkId chunk) {
  const auto upload = uploads_.find(chunk);
  if (!upload) {
    const auto known = TRY(find(chunk));
    if (known) return {};
    return fail(Errc::not_found, "no upload of " + to_string(chunk));
  }
  const std::lock_guard lock(upload->mutex);
  if (upload->over) {
    const auto known = TRY(find(chunk));
    if (known) return {};
    return fail(Errc::not_found, "the upload of " + to_string(chunk) + " was given up");
  }
  if (upload->have < upload->meta.length)
    return fail(Errc::bad_message, "a part of the chunk is missing");

  const auto claim = claims_.claim(chunk);
  const Stored stored = TRY(compare(upload->meta, upload->checksums));
  if (stored != Stored::no) {
    give_up_locked(*upload);
    if (stored == Stored::same) return {};
    if (stored == Stored::other) return fail(other_bytes(chunk));
    return fail(Errc::corrupt, "the copy of " + to_string(chunk) + " here is damaged");
  }
  const RecordHeader record{.meta = upload->meta,
                            .serial = next_serial_++,
                            .place = upload->place.offset,
                            .salt = upload->place.segment->salt(),
                            .sums_checksum = 0};
  const RecordHeaderBytes header = encode(record, upload->checksums);
  const std::array<BufferView, 2> pieces = {BufferView(header),
                                            std::as_bytes(std::span(upload->checksums))};
  const auto written = watch(upload->place.segment->file().write(upload->place.offset, pieces));
  if (!written) {
    give_up_locked(*upload);
    return fail(written.error());
  }
  keep(upload->meta, upload->place);
  upload->over = true;
  uploads_.remove(*upload);
  return {};
}

void ChunkStore::give_up_locked(Upload& upload) {
  if (upload.over) return;
  upload.over = true;
  give_up(upload.place, record_bytes(upload.meta.length));
  uploads_.remove(upload);
}

Result<std::uint32_t> ChunkStore::have(ChunkId chunk) {
  if (const auto upload = uploads_.find(chunk)) {
    const std::lock_guard lock(upload->mutex);
    if (!upload->over) return upload->have;
  }
  const auto known = TRY(find(chunk));
  return known ? known->place.length : 0;
}

// --- stable media ---------------------------------------------------------------------

void ChunkStore::sync(std::span<const ChunkId> chunks, std::function<void(Result<void>)> done) {
  auto points = sync_points(chunks);
  if (!points) return done(fail(points.error()));
  if (points->empty()) return done({});
  syncer_->submit(*std::move(points), [this, done = std::move(done)](Result<void> synced) {
    ++syncs_;
    done(watch(std::move(synced)));
  });
}

Result<void> ChunkStore::sync(std::span<const ChunkId> chunks) {
  std::promise<Result<void>> synced;
  sync(chunks, [&](Result<void> result) { synced.set_value(std::move(result)); });
  return synced.get_future().get();
}

// Where a sync of these chunks has to wait; nothing if all are stable.
Result<std::vector<SyncPoint>> ChunkStore::sync_points(std::span<const ChunkId> chunks) {
  TRY(check_usable());
  std::vector<SyncPoint> points;
  for (const ChunkId chunk : chunks) {
    const auto known = TRY(find(chunk));
    if (!known) return fail(Errc::not_found, to_string(chunk) + " is not here");
    if (known->ticket == 0) continue;
    const auto point = std::find_if(points.begin(), points.end(), [&](const SyncPoint& p) {
      return p.segment->number() == known->place.segment;
    });
    if (point != points.end()) {
      point->ticket = std::max(point->ticket, known->ticket);
      continue;
    }
    auto segment = segments_.open_segment(known->place.segment);
    if (segment && !segment->is_synced(known->ticket))
      points.push_back({std::move(segment), known->ticket});
  }
  return points;
}

// --- state --------------------------------------------------------------------------------

Result<std::optional<IndexedChunk>> ChunkStore::find(ChunkId chunk) {
  auto found = index_.find(chunk);
  if (!found && found.error().code == Errc::corrupt) {
    // The rows cannot be trusted any more; the segments can. A start rebuilds.
    Error error{Errc::io, "the index is damaged: " + found.error().to_string()};
    return fail(watch(fail(std::move(error))).error());
  }
  return found;
}

Result<void> ChunkStore::check_usable() const {
  if (!failed_) return {};
  return fail(*problem());
}

Result<void> ChunkStore::watch(Result<void> result) {
  if (result) return result;
  const Errc code = result.error().code;
  if (code != Errc::io && code != Errc::read_only) return result;
  const bool first = problem_.with([&](std::optional<Error>& problem) {
    if (problem) return false;
    problem = result.error();
    return true;
  });
  failed_ = true;
  if (first) {
    log_error("storage", "{}: the disk is failing, nothing more is written to it: {}",
              options_.directory.string(), result.error().to_string());
  }
  return result;
}

std::optional<Error> ChunkStore::problem() const {
  return problem_.with([](const std::optional<Error>& problem) { return problem; });
}

Result<ChunkStore::Space> ChunkStore::space() const {
  const DiskSpace disk = TRY(space_.space());
  const auto totals = segments_.totals();
  return Space{.capacity = disk.total,
               .available = failed_ ? 0 : disk.available,
               .used = totals.bytes + young_bytes_,
               .chunks = totals.records + index_.young_count(),
               .segments = totals.segments,
               .uploads = uploads_.count()};
}

bool ChunkStore::wants_checkpoint() const {
  return index_.young_count() >= options_.young_chunks_max ||
         young_bytes_ >= options_.young_bytes_max;
}

Result<void> ChunkStore::relieve() {
  if (index_.young_count() < options_.young_chunks_max * kYoungLimitFactor) return {};
  return checkpoint();
}

}  // namespace dfs::storage
