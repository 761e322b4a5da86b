// The part of RequestRunner that is about leases: what is in the way of an
// operation that has run, and what its answer lets the session rely on.
#include <utility>

#include "server/meta/core/request_runner.h"

namespace dfs {
namespace {

// Of an operation that tells of an inode without its attributes: which.
std::optional<InodeId> inode_read(const MetaArgs& args) {
  if (const auto* extents = std::get_if<GetExtentsArgs>(&args)) return extents->inode;
  if (const auto* xattr = std::get_if<GetXattrArgs>(&args)) return xattr->inode;
  if (const auto* xattrs = std::get_if<ListXattrArgs>(&args)) return xattrs->inode;
  if (const auto* clone = std::get_if<CloneArgs>(&args)) return clone->source;
  return std::nullopt;
}

// Whether it takes a lease to write away from others.
bool insists_on_writing(const Session& session, const MetaArgs& args) {
  const auto* wanted = std::get_if<AcquireLeaseArgs>(&args);
  return wanted != nullptr && wanted->kind == LeaseKind::write && session.record.wants_leases;
}

// What the answer would best give of the regular file that it tells of.
LeaseKind wish_for(const Session& session, const MetaArgs& args, const MetaResult& result) {
  bool writes = insists_on_writing(session, args);
  if (const auto* opens = std::get_if<OpenArgs>(&args)) writes = opens->write;
  if (std::holds_alternative<CreateArgs>(args)) {
    const auto* opened = std::get_if<OpenResult>(&result);
    const auto* named = std::get_if<EntryResult>(&result);
    writes = opened != nullptr ? opened->created : named != nullptr && named->parent.has_value();
  }
  return writes ? LeaseKind::write : LeaseKind::read;
}

}  // namespace

void RequestRunner::note_wish(const Session& session, const CoreRequest& request) {
  if (request.place != 0) return;
  const auto* opens = std::get_if<OpenArgs>(&request.args);
  if (opens != nullptr && opens->write) state_.leases.asked_to_write({session.id, opens->inode});
  if (insists_on_writing(session, request.args))
    state_.leases.asked_to_write(
        {session.id, std::get<AcquireLeaseArgs>(request.args).inode});
}

// An access time waits for nobody, and listings say which of their
// entries may be out of date.
bool RequestRunner::has_to_wait(const Session& session, const MetaArgs& args,
                                MetaResult& result) {
  const LeaseTable& table = state_.leases.table();
  const bool grace = !state_.sessions.leases_are_known();
  if (!grace && !table.anybody_but(session.id)) return false;
  if (std::holds_alternative<TouchArgs>(args)) return false;

  in_the_way_.clear();
  bool put_off = false;
  const auto needs = [&](InodeId inode, LeaseKind keep) {
    const LeaseKey key{session.id, inode};
    // Who has a lease knows that none of those who have yet to come is in the way.
    const LeaseKind own_at_least = keep == LeaseKind::none ? LeaseKind::write : LeaseKind::read;
    if (grace && table.kind(key) < own_at_least) put_off = true;
    table.visit_elsewhere(key, keep, [&](const LeaseTable::Lease& lease) {
      in_the_way_.push_back({{lease.holder->session, inode}, keep});
    });
  };
  state_.txn.for_each_touched<tables::Inodes>([&](InodeId inode) { needs(inode, LeaseKind::none); });
  if (const std::optional<InodeId> inode = inode_read(args)) needs(*inode, LeaseKind::read);
  if (!std::holds_alternative<ReadDirResult>(result)) {
    const LeaseKind keep = insists_on_writing(session, args) ? LeaseKind::none : LeaseKind::read;
    for_each_attributes(result, [&](const Attributes& told) {
      if (told.type == FileType::regular) needs(told.inode, keep);
    });
  }
  if (put_off) in_the_way_.clear();
  return put_off || !in_the_way_.empty();
}

Outcome RequestRunner::wait(Session& session, CoreRequest& request) {
  if (session.sink == nullptr) return {fail(Errc::session_lost, "the session's stream is gone")};
  if (Result<void> may = state_.leases.check_may_wait(session.id, request); !may)
    return {fail(std::move(may).error())};
  state_.leases.wait({session.id, session.record.epoch, session.sink, std::move(request)},
                     in_the_way_);
  return {EmptyResult{}, Outcome::When::later};
}

std::uint64_t RequestRunner::grant(const Session& session, const CoreRequest& request,
                                   MetaResult& result) {
  const MetaArgs& args = request.args;
  // Others are to see an access, but nobody waits until they do.
  if (std::holds_alternative<TouchArgs>(args) && state_.leases.table().anybody_but(session.id))
    state_.txn.for_each_touched<tables::Inodes>(
        [&](InodeId inode) { state_.leases.ask_others({session.id, inode}); });
  auto* listed = std::get_if<ReadDirResult>(&result);
  if (listed != nullptr)
    for (Entry& entry : listed->entries) mark_provisional(session.id, entry.attributes);
  if (!session.record.wants_leases) return 0;

  std::uint64_t order = 0;
  const bool grace = !state_.sessions.leases_are_known();
  const LeaseKind wanted = wish_for(session, args, result);
  const bool insists = insists_on_writing(session, args);
  const bool waited = request.place != 0 && std::holds_alternative<AcquireLeaseArgs>(args);
  const LeaseDesk::Turn turn = waited ? LeaseDesk::Turn::own : LeaseDesk::Turn::first;
  // What has no name left interests those alone who have it open.
  const bool is_used = std::holds_alternative<AcquireLeaseArgs>(args) ||
                       std::holds_alternative<OpenResult>(result);
  for_each_attributes(result, [&](Attributes& told) {
    if (told.nlink == 0 && !is_used) return;
    if (told.provisional || told.consistency != Consistency::strict) return;
    LeaseKind wish = told.type == FileType::regular ? wanted : LeaseKind::read;
    if (wish == LeaseKind::write && state_.leases.is_contended(told.inode))
      wish = insists ? LeaseKind::write_once : LeaseKind::read;
    // Those who have yet to come may read beside whoever does not write.
    if (grace && !is_for_writing(state_.leases.table().kind({session.id, told.inode})))
      wish = std::min(wish, LeaseKind::read);
    told.lease = state_.leases.grant({session.id, told.inode}, wish, turn, order);
  });
  if (const auto* lookup = std::get_if<LookupArgs>(&args))
    std::get<EntryResult>(result).parent_lease = grant_directory(session, lookup->parent, order);
  if (listed != nullptr)
    listed->lease = grant_directory(session, std::get<ReadDirArgs>(args).inode, order);
  return order;
}

LeaseKind RequestRunner::grant_directory(const Session& session, InodeId inode,
                                         std::uint64_t& order) {
  const auto found = state_.txn.find<tables::Inodes>(inode);
  if (!found || *found == nullptr) return LeaseKind::none;
  const InodeRecord& directory = **found;
  if (directory.nlink == 0 || directory.consistency != Consistency::strict) return LeaseKind::none;
  return state_.leases.grant({session.id, inode}, LeaseKind::read, LeaseDesk::Turn::first, order);
}

void RequestRunner::mark_provisional(SessionId session, Attributes& attributes) const {
  const LeaseTable& table = state_.leases.table();
  const bool grace = !state_.sessions.leases_are_known();
  if (attributes.type != FileType::regular) return;
  if (!grace && !table.anybody_but(session)) return;
  const LeaseTable::Standing standing = table.standing({session, attributes.inode});
  attributes.provisional = is_for_writing(standing.elsewhere) ||
                           (grace && standing.own == LeaseKind::none);
}

Result<MetaResult> RequestRunner::return_leases(Session& session, const ReturnLeasesArgs& args) {
  Result<void> held;
  if (args.all_forgotten) state_.sessions.came_back(session);
  for (const ReturnedLease& lease : args.leases) {
    if (lease.holds > 0) {
      const Result<void> may = state_.sessions.check_may_hold(session);
      if (may) state_.sessions.hold(session, lease.inode, lease.holds);
      if (!may) held = may;
    }
    state_.leases.give_back(session.id, lease);
  }
  TRY(std::move(held));
  return EmptyResult{};
}

Result<MetaResult> RequestRunner::hold(Session& session, const HoldArgs& args) {
  TRY(state_.sessions.check_may_hold(session));
  TRY(execute(state_.txn, state_.context(Caller{}, session.id), args));
  state_.sessions.hold(session, args.inode, args.count);
  return EmptyResult{};
}

}  // namespace dfs
