#include "tests/sim/random_steps.h"

#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace dfs::sim {
namespace {

using history::Answer;
using history::Kind;
using history::Operation;

constexpr std::size_t kNames = 3;
constexpr std::size_t kRecordBytes = 16;

std::string name_of(std::size_t number) { return std::string(1, static_cast<char>('a' + number)); }

// A block is one text many times over, so that a part of another shows.
std::string block_of(const std::string& value) {
  const std::string cell = fmt::format("{:<16}", value);
  std::string block;
  while (block.size() < kPageBytes) block += cell;
  return block;
}

std::string value_of(const std::string& block) {
  const std::string cell = block.substr(0, kRecordBytes);
  if (block == block_of("")) return "";
  const std::string value = cell.substr(0, cell.find(' '));
  return block == block_of(value) ? value : fmt::format("{} bytes, not of one write, \"{}\"...", block.size(), cell);
}

// The session, or this life of the server, has ended: whether it happened is unknown.
bool is_doubtful(Errc code) {
  return code == Errc::session_lost || code == Errc::unavailable || code == Errc::stale_epoch || code == Errc::io;
}

std::optional<Answer> answer_of(Errc code) {
  if (code == Errc::exists) return Answer::exists;
  if (code == Errc::not_found) return Answer::not_found;
  return std::nullopt;
}

}  // namespace

Result<void> prepare(Kernel& kernel, Shared& shared) {
  shared.directory = TRY(kernel.make_directory({kRootInode, "d"}));
  TRY(kernel.create(shared.blocks));
  TRY(kernel.create(shared.log));
  const Kernel::File file = TRY(kernel.open(shared.blocks, Kernel::Opening::cached));
  for (std::uint64_t block = 0; block < Shared::kBlocks; ++block)
    TRY(kernel.write(file, block * kPageBytes, block_of("")));
  TRY(kernel.fsync(file));
  return kernel.close(file);
}

RandomSteps::RandomSteps(Surroundings surroundings, std::string client, std::uint64_t number)
    : with_(surroundings), client_(std::move(client)), number_(number) {}

void RandomSteps::step(std::size_t number) {
  Dice dice(with_.plan.seed, (number_ << 32) + number + 1);
  Sharing sharing = with_.plan.sharing;
  if (sharing == Sharing::all) sharing = dice.pick({Sharing::blocks, Sharing::names, Sharing::names, Sharing::log});
  if (sharing == Sharing::names) name_step(dice);
  if (sharing == Sharing::blocks) block_step(dice);
  if (sharing == Sharing::log) log_step(dice);
}

void RandomSteps::look_at_everything() {
  for (const InodeId directory : {kRootInode, with_.shared.directory}) {
    list(directory);
    for (std::size_t name = 0; name < kNames; ++name) lookup({directory, name_of(name)});
  }
  Dice dice(with_.plan.seed, number_ << 32);
  with_file(with_.shared.blocks, Kernel::Opening::cached, dice, [&](const Kernel::File& file) {
    for (std::uint64_t block = 0; block < Shared::kBlocks; ++block) read_block(block, file);
  });
  with_file(with_.shared.log, Kernel::Opening::cached, dice, [&](const Kernel::File& file) { read_log(file); });
  for (const auto& [how, file] : kept_) expect(with_.kernel.close(file), "close");
  kept_.clear();
}

// --- the kinds of steps -----------------------------------------------------------------

void RandomSteps::name_step(Dice& dice) {
  switch (dice.below(9)) {
    case 0:
    case 1: return create(any_place(dice));
    case 2: return unlink(any_place(dice));
    case 3:
    case 4: {
      const Place from = any_place(dice);
      return rename(from, any_place(dice));
    }
    case 5: return list(dice.one_in(2) ? kRootInode : with_.shared.directory);
    default: return lookup(any_place(dice));
  }
}

void RandomSteps::block_step(Dice& dice) {
  const auto opening = dice.one_in(8) ? Kernel::Opening::direct : Kernel::Opening::cached;
  with_file(with_.shared.blocks, opening, dice, [&](const Kernel::File& file) {
    const std::uint64_t block = dice.below(Shared::kBlocks);
    if (dice.below(5) < 2) write_block(block, file);
    else read_block(block, file);
  });
}

void RandomSteps::log_step(Dice& dice) {
  const bool appends = dice.one_in(2);
  const auto opening = appends || dice.one_in(8) ? Kernel::Opening::appending : Kernel::Opening::cached;
  with_file(with_.shared.log, opening, dice, [&](const Kernel::File& file) {
    if (appends) append_record(file);
    else read_log(file);
  });
}

// --- names ---------------------------------------------------------------------------------

Place RandomSteps::any_place(Dice& dice) const {
  const InodeId directory = dice.one_in(2) ? kRootInode : with_.shared.directory;
  return {directory, name_of(dice.below(kNames))};
}

std::string RandomSteps::object(InodeId directory) const { return directory == kRootInode ? "top" : "d"; }

void RandomSteps::create(const Place& place) {
  Operation operation = begin(Kind::create, object(place.directory));
  operation.name = place.name;
  const Result<InodeId> made = with_.kernel.create(place);
  if (made) operation.value = std::to_string(made->value());
  end(operation, made);
}

void RandomSteps::unlink(const Place& place) {
  Operation operation = begin(Kind::unlink, object(place.directory));
  operation.name = place.name;
  end(operation, with_.kernel.unlink(place));
}

void RandomSteps::rename(const Place& from, const Place& to) {
  Operation operation = begin(Kind::rename, object(from.directory));
  operation.name = from.name;
  operation.to_object = object(to.directory);
  operation.to_name = to.name;
  end(operation, with_.kernel.rename(from, to));
}

void RandomSteps::lookup(const Place& place) {
  Operation operation = begin(Kind::lookup, object(place.directory));
  operation.name = place.name;
  const Result<InodeId> found = with_.kernel.lookup(place);
  if (found) operation.value = std::to_string(found->value());
  end(operation, found);
}

void RandomSteps::list(InodeId directory) {
  Operation operation = begin(Kind::list, object(directory));
  const Result<std::vector<std::string>> names = with_.kernel.list(directory);
  for (const std::string& name : names ? *names : std::vector<std::string>())
    if (name != "d" && name.size() == 1) operation.values.push_back(name);
  end(operation, names);
}

// --- contents ----------------------------------------------------------------------------

void RandomSteps::with_file(const Place& place, Kernel::Opening opening, Dice& dice, const Work& work) {
  const auto kept = kept_.find({place, opening});
  if (kept != kept_.end() && !dice.one_in(4)) return work(kept->second);
  const Result<Kernel::File> file = with_.kernel.open(place, opening);
  if (!expect(file, "open")) return;
  work(*file);
  if (kept == kept_.end()) kept_.emplace(std::pair(place, opening), *file);
  else expect(with_.kernel.close(*file), "close");
}

void RandomSteps::write_block(std::uint64_t block, const Kernel::File& file) {
  Operation operation = begin(Kind::write, fmt::format("block {}", block));
  operation.value = fmt::format("{}.{}", number_, ++written_);
  Result<void> written = with_.kernel.write(file, block * kPageBytes, block_of(operation.value));
  if (written && with_.plan.sessions_may_end()) written = with_.kernel.fsync(file);
  end(operation, written);
}

void RandomSteps::read_block(std::uint64_t block, const Kernel::File& file) {
  Operation operation = begin(Kind::read, fmt::format("block {}", block));
  const Result<std::string> read = with_.kernel.read(file, block * kPageBytes, kPageBytes);
  if (read) operation.value = value_of(*read);
  end(operation, read);
}

void RandomSteps::append_record(const Kernel::File& file) {
  Operation operation = begin(Kind::append, "log");
  operation.value = fmt::format("{}.{}", number_, ++written_);
  Result<void> appended = with_.kernel.append(file, fmt::format("{:<15}\n", operation.value));
  if (appended && with_.plan.sessions_may_end()) appended = with_.kernel.fsync(file);
  end(operation, appended);
}

void RandomSteps::read_log(const Kernel::File& file) {
  Operation operation = begin(Kind::read_log, "log");
  const Result<std::string> read = with_.kernel.read(file, 0, 4 * kPageBytes);
  for (std::size_t at = 0; read && at < read->size(); at += kRecordBytes) {
    const std::string record = read->substr(at, kRecordBytes);
    const bool is_whole = record.size() == kRecordBytes && record.back() == '\n';
    operation.values.push_back(is_whole ? record.substr(0, record.find(' ')) : fmt::format("no record: {:?}", record));
  }
  end(operation, read);
}

// --- how it ended -------------------------------------------------------------------------

Operation RandomSteps::begin(Kind kind, std::string object) const {
  return with_.recorder.begin(client_, kind, std::move(object));
}

template <typename T>
bool RandomSteps::end(Operation& operation, const Result<T>& result) {
  if (result) {
    with_.recorder.end(std::move(operation));
    return true;
  }
  const std::optional<Answer> answer = answer_of(result.error().code);
  if (answer && history::may_be_answered(operation.kind, *answer)) {
    operation.answer = *answer;
    with_.recorder.end(std::move(operation));
    return false;
  }
  if (!is_doubtful(result.error().code))
    complain(history::to_text(operation, 0), result.error());
  with_.recorder.end_in_doubt(std::move(operation), result.error());
  return false;
}

template <typename T>
bool RandomSteps::expect(const Result<T>& result, const char* what) {
  if (result) return true;
  if (!is_doubtful(result.error().code)) complain(what, result.error());
  return false;
}

void RandomSteps::complain(const std::string& what, const Error& error) {
  if (complaint_.empty()) complaint_ = fmt::format("{}: {} fails: {}", client_, what, error.to_string());
}

}  // namespace dfs::sim
