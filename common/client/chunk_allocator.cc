#include "common/client/chunk_allocator.h"

#include <algorithm>
#include <chrono>

#include "common/base/log.h"

namespace dfs {
namespace {

// A stock of this many lasts for a while at thousands of small files a
// second; ids that are never used cost nothing.
constexpr std::uint32_t kStock = 512;
constexpr std::uint64_t kLow = kStock / 4;
constexpr std::size_t kPoliciesMax = 64;
// A right that ends sooner may end while the upload is on its way.
constexpr std::chrono::seconds kSpare{60};

}  // namespace

std::uint64_t ChunkAllocator::left_in(const Stock& stock) {
  std::uint64_t left = 0;
  for (const ChunkRange& range : stock.ranges) left += range.count;
  return left;
}

bool ChunkAllocator::avoided(const ChunkRange& range, const std::vector<ServerId>& avoid) const {
  if (avoid.empty()) return false;
  const GroupTablePtr table = meta_.group_table();
  const auto group = table->groups.find(range.first.group());
  if (group == table->groups.end()) return true;
  return std::any_of(group->second.members.begin(), group->second.members.end(),
                     [&](const GroupMember& member) {
                       return std::find(avoid.begin(), avoid.end(), member.server) != avoid.end();
                     });
}

bool ChunkAllocator::take_locked(Stock& stock, const Wanted& wanted, ChunkGrant& grant) const {
  const SteadyTime now = clock_.now();
  std::erase_if(stock.ranges,
                [now](const Held& range) { return range.count == 0 || range.until <= now; });
  for (std::size_t tried = 0; tried < stock.ranges.size(); ++tried) {
    const bool whole = wanted.kind == Kind::whole;
    const std::size_t index = (whole ? stock.next + tried : tried) % stock.ranges.size();
    Held& range = stock.ranges[index];
    if (avoided(range, wanted.avoid)) continue;
    if (whole) stock.next = index + 1;
    grant = {range.first, range.capability};
    range.first = ChunkId{range.first.value() + 1};
    --range.count;
    return true;
  }
  return false;
}

Result<ChunkGrant> ChunkAllocator::take(const Wanted& wanted, Interrupt* interrupt) {
  ChunkGrant grant;
  const auto from_stock = [&](const Wanted& what) {
    return stocks_.with([&](Stocks& stocks) {
      const auto it = stocks.find({what.replicas, what.chunk_size});
      return it != stocks.end() && take_locked(it->second, what, grant);
    });
  };
  if (from_stock(wanted)) return grant;

  TRY(ask(wanted, wanted.avoid.empty() ? kStock : 16, interrupt));
  if (from_stock(wanted)) return grant;
  // No group is without the servers to avoid: any is better than none.
  Wanted anything = wanted;
  anything.avoid.clear();
  if (from_stock(anything)) return grant;
  return fail(Errc::again, "the metadata server gave chunk ids that cannot be used");
}

Result<void> ChunkAllocator::ask(const Wanted& wanted, std::uint32_t count, Interrupt* interrupt) {
  const SteadyTime asked = clock_.now();
  AllocateResult answer = TRY(call_for<AllocateResult>(
      meta_, AllocateArgs{wanted.inode, count, wanted.avoid}, Caller{}, interrupt));
  stocks_.with([&](Stocks& stocks) {
    if (stocks.size() >= kPoliciesMax) stocks.clear();
    Stock& stock = stocks[{wanted.replicas, wanted.chunk_size}];
    stock.inode = wanted.inode;
    for (ChunkRange& range : answer.ranges) {
      if (range.count > 0) stock.ranges.push_back(hold(std::move(range), asked));
    }
  });
  return {};
}

ChunkAllocator::Held ChunkAllocator::hold(ChunkRange range, SteadyTime asked) const {
  Held held{std::move(range)};
  if (held.expires == 0) return held;
  const std::chrono::nanoseconds told = std::chrono::nanoseconds{held.expires - clock_.wall()} - kSpare;
  held.until = asked + std::clamp<std::chrono::nanoseconds>(told, kSurely, kAtMost);
  return held;
}

void ChunkAllocator::discard(ChunkId chunk) {
  stocks_.with([&](Stocks& stocks) {
    for (auto& [policy, stock] : stocks) {
      std::erase_if(stock.ranges, [chunk](const ChunkRange& range) {
        return range.first.group() == chunk.group() && range.first.serial() > chunk.serial() &&
               range.first.serial() - chunk.serial() <= kStock;
      });
    }
  });
}

bool ChunkAllocator::runs_low() const {
  return stocks_.with([](const Stocks& stocks) {
    return std::any_of(stocks.begin(), stocks.end(), [](const auto& entry) {
      return !entry.second.refilling && left_in(entry.second) < kLow;
    });
  });
}

Result<void> ChunkAllocator::refill(Interrupt* interrupt) {
  std::vector<Wanted> low;
  stocks_.with([&](Stocks& stocks) {
    for (auto& [policy, stock] : stocks) {
      if (stock.refilling || left_in(stock) >= kLow) continue;
      stock.refilling = true;
      low.push_back({stock.inode, policy.first, policy.second, Kind::small, {}});
    }
  });
  Result<void> result;
  for (const Wanted& wanted : low) {
    const Result<void> asked = ask(wanted, kStock, interrupt);
    stocks_.with([&](Stocks& stocks) {
      const auto it = stocks.find({wanted.replicas, wanted.chunk_size});
      if (it == stocks.end()) return;
      it->second.refilling = false;
      // The inode may be gone; whoever needs a chunk next asks for its own.
      if (!asked) stocks.erase(it);
    });
    if (!asked) result = asked;
  }
  return result;
}

}  // namespace dfs
