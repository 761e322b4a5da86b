#include "server/meta/sessions/lease_table.h"

#include <utility>

namespace dfs {

// Who writes is alone, so one look at any lease tells about all.
LeaseTable::Standing LeaseTable::standing(LeaseKey key) const {
  Standing standing;
  const auto found = inodes_.find(key.inode);
  if (found == inodes_.end()) return standing;
  const Inode& inode = found->second;
  if (const Lease* own = find(inode, key.session)) standing.own = own->kind;
  const bool has_first = inode.first.holder != nullptr;
  const std::size_t leases = (has_first ? 1 : 0) + (inode.more != nullptr ? inode.more->size() : 0);
  if (leases == (standing.own != LeaseKind::none ? 1 : 0)) return standing;
  const Lease& any = has_first ? inode.first : inode.more->begin()->second;
  const bool written = leases == 1 && is_for_writing(any.kind);
  standing.elsewhere = written ? LeaseKind::write : LeaseKind::read;
  return standing;
}

LeaseClaims LeaseTable::leases_of(SessionId session) const {
  LeaseClaims leases;
  visit_oldest(session, [&](const Lease& lease) {
    (is_for_writing(lease.kind) ? leases.write : leases.read).push_back(lease.inode);
    return true;
  });
  return leases;
}

std::size_t LeaseTable::count(SessionId session) const {
  const auto holder = holders_.find(session);
  return holder != holders_.end() ? holder->second.count : 0;
}

void LeaseTable::grant(LeaseKey key, LeaseKind kind, std::uint64_t order) {
  Lease* lease = find(key);
  if (lease == nullptr) {
    lease = &add(key);
  } else if (lease->holder->newest != lease) {
    unlink(*lease);
    link(*lease);
  }
  // Of one that is only renewed the later order may stay, whatever becomes of the
  // batch: it counts as granted later than the session knows, which harms nobody.
  if (lease->kind != kind) changes_.push_back({key, lease->kind});
  lease->kind = kind;
  lease->order = order;
}

void LeaseTable::give_back(LeaseKey key, LeaseKind keep, std::uint64_t order) {
  const Lease* lease = find(key);
  if (lease == nullptr || lease->order > order || lease->kind <= keep) return;
  set(key, keep);
}

bool LeaseTable::claim(LeaseKey key, LeaseKind kind, std::uint64_t order) {
  const LeaseKind others_may_have = is_for_writing(kind) ? LeaseKind::none : LeaseKind::read;
  if (standing(key).elsewhere > others_may_have) return false;
  Lease* lease = find(key);
  if (lease == nullptr) {
    lease = &add(key);
    lease->order = order;
  }
  lease->kind = kind;
  lease->claimed = true;
  return true;
}

const LeaseTable::Lease* LeaseTable::find(const Inode& inode, SessionId session) {
  if (inode.first.holder != nullptr && inode.first.holder->session == session)
    return &inode.first;
  if (inode.more == nullptr) return nullptr;
  const auto found = inode.more->find(session);
  return found != inode.more->end() ? &found->second : nullptr;
}

LeaseTable::Lease* LeaseTable::find(LeaseKey key) {
  const auto found = inodes_.find(key.inode);
  return found != inodes_.end() ? find(found->second, key.session) : nullptr;
}

LeaseTable::Lease& LeaseTable::add(LeaseKey key) {
  Inode& inode = inodes_[key.inode];
  Lease* lease = &inode.first;
  if (lease->holder != nullptr) {
    if (inode.more == nullptr) inode.more = std::make_unique<std::map<SessionId, Lease>>();
    lease = &(*inode.more)[key.session];
  }
  Holder& holder = holders_[key.session];
  holder.session = key.session;
  ++holder.count;
  ++size_;
  lease->holder = &holder;
  lease->inode = key.inode;
  link(*lease);
  return *lease;
}

void LeaseTable::remove(LeaseKey key) {
  const auto found = inodes_.find(key.inode);
  Inode& inode = found->second;
  Lease& lease = *find(inode, key.session);
  unlink(lease);
  --size_;
  if (--lease.holder->count == 0) holders_.erase(key.session);
  if (&lease == &inode.first) {
    lease = Lease{};
  } else {
    inode.more->erase(key.session);
    if (inode.more->empty()) inode.more.reset();
  }
  if (inode.first.holder == nullptr && inode.more == nullptr) inodes_.erase(found);
}

void LeaseTable::link(Lease& lease) {
  Holder& holder = *lease.holder;
  lease.newer = nullptr;
  lease.older = holder.newest;
  (holder.newest != nullptr ? holder.newest->newer : holder.oldest) = &lease;
  holder.newest = &lease;
}

void LeaseTable::unlink(Lease& lease) {
  Holder& holder = *lease.holder;
  (lease.newer != nullptr ? lease.newer->older : holder.newest) = lease.older;
  (lease.older != nullptr ? lease.older->newer : holder.oldest) = lease.newer;
}

// Of a lease that may be gone already.
void LeaseTable::set(LeaseKey key, LeaseKind kind) {
  Lease* lease = find(key);
  if (lease == nullptr) return;
  if (kind == LeaseKind::none) return remove(key);
  lease->kind = kind;
}

}  // namespace dfs
