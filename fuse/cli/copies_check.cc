#include "fuse/cli/copies_check.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace dfs::cli {
namespace {

constexpr std::uint32_t kChunksAtOnce = 4'096;
constexpr int kRefusalsMax = 2;

std::string servers_text(const std::vector<ServerId>& servers) {
  std::string text = servers.size() == 1 ? "storage server" : "storage servers";
  const char* separator = " ";
  for (const ServerId server : servers) {
    text += fmt::format("{}{}", separator, server.value());
    separator = ", ";
  }
  return text;
}

}  // namespace

std::string to_text(const CopiesFinding& finding) {
  const ChunkUse& use = finding.use;
  const std::string chunk = to_string(use.chunk);
  const std::string bytes =
      fmt::format("{}: bytes {} to {}", use.path, use.offset, use.offset + use.length);
  switch (finding.kind) {
    case CopiesFinding::Kind::lost:
      return fmt::format("{} are lost: no storage server has chunk {}", bytes, chunk);
    case CopiesFinding::Kind::unreachable:
      return fmt::format("{} cannot be read now: chunk {} is on {}, if anywhere, and there is no answer",
                         bytes, chunk, servers_text(finding.silent));
    case CopiesFinding::Kind::few:
      break;
  }
  const std::string silent =
      finding.silent.empty() ? "" : fmt::format(", {} not asked", servers_text(finding.silent));
  return fmt::format("{} have {} of {} copies (chunk {}{})", bytes, finding.copies, finding.wanted, chunk,
                     silent);
}

Result<CopiesSummary> CopiesCheck::run(const Found& found, const Passed& passed) {
  ChunkId first{};
  while (true) {
    const FsckChunks page = TRY(meta_.list_chunks(first, kChunksAtOnce));
    if (page.chunks.empty()) break;
    const Lacking suspects = look_at(page);
    if (!suspects.empty()) {
      Lacking certain = TRY(look_again(suspects));
      lacking_.merge(certain);
    }
    summary_.chunks += page.chunks.size();
    passed(summary_.chunks);
    if (lacking_.size() + kChunksAtOnce > kFsckUsersOfMax) TRY(name_files(found));
    first = following(page.chunks.back());
  }
  TRY(name_files(found));
  return summary_;
}

CopiesCheck::Lacking CopiesCheck::look_at(const FsckChunks& page) {
  std::map<ServerId, std::vector<ChunkId>> questions;
  Lacking all;
  for (const ChunkId chunk : page.chunks) {
    const auto group = page.groups.find(chunk.group());
    if (group == page.groups.end()) continue;
    all[chunk].wanted = group->second.replicas;
    for (const ServerId member : group->second.members) questions[member].push_back(chunk);
  }
  for (const auto& [server, chunks] : questions) {
    const std::vector<bool> has = ask(server, chunks);
    for (std::size_t at = 0; at < chunks.size(); ++at) {
      Copies& copies = all[chunks[at]];
      if (has.empty()) copies.silent.push_back(server);
      if (!has.empty() && has[at]) ++copies.copies;
    }
  }
  std::erase_if(all, [](const auto& entry) { return entry.second.copies >= entry.second.wanted; });
  for (auto& [chunk, copies] : all) {
    if (copies.copies > 0) {
      copies.kind = CopiesFinding::Kind::few;
    } else if (!copies.silent.empty()) {
      copies.kind = CopiesFinding::Kind::unreachable;
    }
  }
  return all;
}

Result<CopiesCheck::Lacking> CopiesCheck::look_again(const Lacking& suspects) {
  const FsckChunks page = TRY(meta_.list_chunks(suspects.begin()->first, kChunksAtOnce));
  FsckChunks still{.chunks = {}, .groups = page.groups};
  for (const ChunkId chunk : page.chunks)
    if (suspects.contains(chunk)) still.chunks.push_back(chunk);
  return look_at(still);
}

std::vector<bool> CopiesCheck::ask(ServerId server, const std::vector<ChunkId>& chunks) {
  int& refusals = refusals_[server];
  if (refusals >= kRefusalsMax) return {};
  struct Answer {
    std::optional<Result<std::vector<StoredChunk>>> result;
    std::atomic<bool> arrived{false};
  };
  // A completion may outlive nothing here: the call always completes.
  const auto answer = std::make_shared<Answer>();
  const std::shared_ptr<StorageClient> client = storage_.client(server);
  client->attend(
      [&] {
        client->stat(chunks, [answer](Result<std::vector<StoredChunk>> result) {
          answer->result = std::move(result);
          answer->arrived.store(true, std::memory_order_release);
        });
      },
      [&] { return answer->arrived.load(std::memory_order_acquire); }, nullptr);
  const Result<std::vector<StoredChunk>>& result = *answer->result;
  if (!result || result->size() != chunks.size()) {
    ++refusals;
    return {};
  }
  refusals = 0;
  std::vector<bool> has;
  has.reserve(chunks.size());
  for (const StoredChunk& chunk : *result) has.push_back(chunk.present);
  return has;
}

Result<void> CopiesCheck::name_files(const Found& found) {
  if (lacking_.empty()) return {};
  FsckBegin search;
  for (const auto& [chunk, copies] : lacking_) search.users_of.push_back(chunk);
  const std::uint64_t run = TRY(meta_.begin(search));
  while (true) {
    FsckPart part = TRY(meta_.next(run));
    for (ChunkUse& use : part.uses) {
      const auto known = lacking_.find(use.chunk);
      if (known == lacking_.end()) continue;
      const Copies& copies = known->second;
      summary_.lost += copies.kind == CopiesFinding::Kind::lost;
      summary_.unreachable += copies.kind == CopiesFinding::Kind::unreachable;
      summary_.few += copies.kind == CopiesFinding::Kind::few;
      TRY(found({copies.kind, std::move(use), copies.copies, copies.wanted, copies.silent}));
    }
    if (part.done) break;
  }
  lacking_.clear();
  return {};
}

}  // namespace dfs::cli
