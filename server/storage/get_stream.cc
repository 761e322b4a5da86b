#include "server/storage/get_stream.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "common/rpc/protocol.h"
#include "common/rpc/storage_messages.h"

namespace dfs::storage {
namespace {

// Keeps what is being sent alive, and tells when gRPC has let go of it.
struct Sent {
  Sent(ChunkBytes chunk_bytes, std::shared_ptr<ByteBudget> stream, std::shared_ptr<ByteBudget> all)
      : bytes(std::move(chunk_bytes)),
        stream_charge(std::move(stream), bytes.bytes.size()),
        charge(std::move(all), bytes.bytes.size()) {}
  const ChunkBytes bytes;
  const ByteBudget::Charge stream_charge;
  const ByteBudget::Charge charge;
};

// Answers the questions of one stream. Threads: ask() from the polling
// thread; the work is done by one thread at a time.
class Answerer : public std::enable_shared_from_this<Answerer> {
 public:
  Answerer(ServiceContext& context, std::shared_ptr<StreamPeer> peer)
      : context_(context),
        peer_(std::move(peer)),
        sending_(std::make_shared<ByteBudget>(
            context.config.sending_stream_bytes_max, [&disk = context.disk](auto task) {
              // Refused only when the executor stops, and then the stream is over.
              static_cast<void>(disk.submit(std::move(task)));
            })) {}

  // False: no more questions until there is room (then the peer is resumed).
  bool ask(GetQuestion question) {
    question.local = question.local && is_local();
    const bool sends_places = question.local && question.ranges.size() == 1;
    const bool at_once = (sends_places || is_small(question)) && sending_->used() == 0;
    bool paused = false;
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return true;
      questions_.push_back(std::move(question));
      paused = paused_ = questions_.size() >= context_.config.questions_per_stream_max;
      if (std::exchange(working_, true)) return !paused;
    }
    if (at_once && answer_all(ReadFrom::memory)) return true;
    hand_over();
    return !paused;
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    sending_->close();
  }

 private:
  bool is_local() const {
    return context_.config.local_reads && peer_->peer_address().starts_with("unix:");
  }

  bool is_small(const GetQuestion& question) const {
    std::uint64_t bytes = 0;
    for (const GetRange& range : question.ranges) bytes += range.length;
    return bytes <= context_.config.inline_bytes_max;
  }

  void hand_over() {
    if (context_.disk.submit([self = shared_from_this()] { self->answer_all(ReadFrom::disk); }))
      return;
    peer_->close({Errc::overloaded, "too much waits for the disks"});
  }

  // True: nothing is left to do. False: the rest has to wait, for the disk
  // (from memory) or for the reader (who sees to it that work goes on).
  bool answer_all(ReadFrom from) {
    while (true) {
      if (!current_ && !next_question()) return true;
      if (from == ReadFrom::disk && !has_room()) return false;
      if (!answer_piece(from)) return false;
    }
  }

  bool next_question() {
    bool resume = false;
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) questions_.clear();
      if (questions_.empty()) {
        working_ = false;
        return false;
      }
      current_ = std::move(questions_.front());
      questions_.pop_front();
      resume = paused_ && questions_.size() <= context_.config.questions_per_stream_max / 2;
      if (resume) paused_ = false;
    }
    range_ = 0;
    done_ = 0;
    if (resume) peer_->resume();
    return true;
  }

  bool has_room() {
    const auto go_on = [self = shared_from_this()] { self->answer_all(ReadFrom::disk); };
    return sending_->has_room_or_wait(go_on) && context_.sending->has_room_or_wait(go_on);
  }

  // The next frame of the current question. False: not in memory.
  bool answer_piece(ReadFrom from) {
    const GetRange& range = current_->ranges[range_];
    // Whole blocks, so that the reader gets their stored checksums.
    const std::uint32_t at = range.offset + done_;
    const std::uint32_t most = kFrameBytesMax - at % kBlockSize;
    const ReadRange piece{at, std::min(most, range.length - done_)};
    const bool small = piece.length <= context_.config.inline_bytes_max;
    if (current_->local && !small) {
      const auto place = locate(range.chunk, piece, from);
      if (!place && place.error().code == Errc::again) return false;
      // An error comes again below, with bytes that are not there either.
      if (place && *place) {
        deliver_place(at, piece, **place);
        return true;
      }
    }
    if (from == ReadFrom::memory && !small) return false;
    if (done_ == 0 && from == ReadFrom::disk) read_ahead();

    auto bytes = read(range.chunk, piece, from);
    if (!bytes && bytes.error().code == Errc::again) return false;
    GetPart part = next_part(at, piece, !bytes);
    if (!bytes) {
      context_.metrics.get_failures.add();
      part.error = bytes.error();
      deliver(encode(part));
      return true;
    }
    context_.metrics.get_bytes.add(piece.length);
    part.checksums = bytes->checksums;
    part.whole_blocks = bytes->whole_blocks;
    const auto sent = std::make_shared<const Sent>(std::move(*bytes), sending_, context_.sending);
    // In place, however small: the end of its sending has to be seen.
    deliver(encode_in_place(part, sent->bytes.bytes, sent));
    return true;
  }

  // The head of the answer with `piece`; goes on to what comes after it.
  GetPart next_part(std::uint32_t at, const ReadRange& piece, bool failed) {
    GetPart part;
    part.id = current_->id;
    part.range = static_cast<std::uint32_t>(range_);
    part.offset = at;
    done_ += piece.length;
    const bool range_over = failed || done_ == current_->ranges[range_].length;
    part.last = range_over && range_ + 1 == current_->ranges.size();
    if (range_over) {
      ++range_;
      done_ = 0;
      context_.metrics.get_ranges.add();
    }
    if (part.last) current_.reset();
    return part;
  }

  void deliver_place(std::uint32_t at, const ReadRange& piece, const BlockPlace& place) {
    GetPart part = next_part(at, piece, false);
    part.whole_blocks = true;
    part.checksums = place.checksums;
    part.place = FilePlace{place.file.native(), place.offset, piece.length};
    context_.metrics.get_local_bytes.add(piece.length);
    deliver(encode(part));
  }

  void deliver(grpc::ByteBuffer frame) {
    if (peer_->send(std::move(frame))) return;
    current_.reset();
    stop();
  }

  Result<ChunkStore*> store_of(ChunkId chunk) {
    ChunkStore* const store = TRY(context_.stores.store_of(chunk));
    if (store == nullptr) return fail(Errc::not_found, to_string(chunk) + " is not here");
    return store;
  }

  Result<ChunkBytes> read(ChunkId chunk, const ReadRange& piece, ReadFrom from) {
    ChunkStore* const store = TRY(store_of(chunk));
    return store->get(chunk, piece, from);
  }

  Result<std::optional<BlockPlace>> locate(ChunkId chunk, const ReadRange& piece, ReadFrom from) {
    ChunkStore* const store = TRY(store_of(chunk));
    return store->locate(chunk, piece, from);
  }

  // The disk works on this range, and on the next one, while the first bytes
  // are on their way.
  void read_ahead() {
    for (std::size_t i = range_ == 0 ? 0 : range_ + 1;
         i <= range_ + 1 && i < current_->ranges.size(); ++i) {
      const GetRange& range = current_->ranges[i];
      if (range.length <= kBlockSize) continue;
      const auto store = context_.stores.store_of(range.chunk);
      if (store && *store != nullptr) (*store)->will_read(range.chunk, {range.offset, range.length});
    }
  }

  ServiceContext& context_;
  const std::shared_ptr<StreamPeer> peer_;
  const std::shared_ptr<ByteBudget> sending_;

  std::mutex mutex_;  // of the next four
  std::deque<GetQuestion> questions_;
  bool working_ = false;
  bool stopped_ = false;
  bool paused_ = false;  // until the questions are few

  // Of the one who works.
  std::optional<GetQuestion> current_;
  std::size_t range_ = 0;
  std::uint32_t done_ = 0;
};

class GetStream final : public StreamHandler {
 public:
  GetStream(ServiceContext& context, Membership member, std::shared_ptr<StreamPeer> peer)
      : member_(std::move(member)),
        peer_(std::move(peer)),
        answerer_(std::make_shared<Answerer>(context, peer_)) {}

  Reading on_message(grpc::ByteBuffer message) override {
    auto question = decode_get_question(message);
    if (!question) return refuse(question.error());
    if (!greeted_) {
      if (const auto welcome = check_greeting(question->greeting, member_.cluster); !welcome)
        return refuse(welcome.error());
      greeted_ = true;
    }
    return answerer_->ask(*std::move(question)) ? Reading::go_on : Reading::pause;
  }
  void on_end() override { answerer_->stop(); }

 private:
  Reading refuse(const Error& error) {
    peer_->close(error);
    return Reading::pause;
  }

  const Membership member_;
  const std::shared_ptr<StreamPeer> peer_;
  const std::shared_ptr<Answerer> answerer_;
  bool greeted_ = false;
};

}  // namespace

std::unique_ptr<StreamHandler> make_get_stream(ServiceContext& context, const Membership& member,
                                               std::shared_ptr<StreamPeer> peer) {
  return std::make_unique<GetStream>(context, member, std::move(peer));
}

}  // namespace dfs::storage
