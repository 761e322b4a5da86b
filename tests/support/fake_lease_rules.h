// Which leases a request of the metadata double needs, and gets.
#pragma once

#include <string>
#include <variant>

#include "common/rpc/meta_api.h"
#include "tests/support/fake_inodes.h"
#include "tests/support/fake_leases.h"

namespace dfs {

namespace lease_rules {

// Collects what the arguments say.
class Needed {
 public:
  explicit Needed(FakeInodes& inodes) : inodes_(inodes) {}
  FakeLeases::Needs take() { return std::move(needs_); }

  void tells(InodeId inode) { needs_.push_back({inode, LeaseKind::read}); }
  void changes(InodeId inode) { needs_.push_back({inode, LeaseKind::none}); }
  void changes_name(InodeId directory, const std::string& name) {
    changes(directory);
    if (const auto inode = inodes_.find_named(directory, name)) changes((*inode)->attributes.inode);
  }
  void tells_name(InodeId directory, const std::string& name) {
    if (const auto inode = inodes_.find_named(directory, name)) tells((*inode)->attributes.inode);
  }

  void operator()(const LookupArgs& args) { tells_name(args.parent, args.name); }
  void operator()(const GetAttrArgs& args) { tells(args.inode); }
  void operator()(const GetXattrArgs& args) { tells(args.inode); }
  void operator()(const ListXattrArgs& args) { tells(args.inode); }
  void operator()(const GetExtentsArgs& args) { tells(args.inode); }
  void operator()(const OpenArgs& args) { args.truncate ? changes(args.inode) : tells(args.inode); }
  void operator()(const AcquireLeaseArgs& args) {
    args.kind == LeaseKind::write ? changes(args.inode) : tells(args.inode);
  }
  void operator()(const SetAttrArgs& args) { changes(args.inode); }
  void operator()(const SetXattrArgs& args) { changes(args.inode); }
  void operator()(const RemoveXattrArgs& args) { changes(args.inode); }
  void operator()(const CreateArgs& args) {
    if (args.unnamed) return;
    if (inodes_.find_named(args.parent, args.name)) return tells_name(args.parent, args.name);
    changes(args.parent);
  }
  void operator()(const SymlinkArgs& args) { changes(args.parent); }
  void operator()(const LinkArgs& args) {
    changes(args.inode);
    changes(args.new_parent);
  }
  void operator()(const UnlinkArgs& args) { changes_name(args.parent, args.name); }
  void operator()(const RenameArgs& args) {
    changes_name(args.parent, args.name);
    changes_name(args.new_parent, args.new_name);
  }
  void operator()(const CommitArgs& args) {
    for (const CommitFile& file : args.files) changes(file.inode);
  }
  void operator()(const CloneArgs& args) {
    tells(args.source);
    changes(args.inode);
  }
  // Access times are nobody's to rely on, listings say what may be out of date, and
  // the rest is about no inode.
  template <typename Args>
  void operator()(const Args&) {}

 private:
  FakeInodes& inodes_;
  FakeLeases::Needs needs_;
};

}  // namespace lease_rules

inline FakeLeases::Needs lease_needs(FakeInodes& inodes, const MetaArgs& args) {
  lease_rules::Needed needed(inodes);
  std::visit(needed, args);
  return needed.take();
}

// What the answer would best give of an inode that it tells of.
inline LeaseKind lease_wish(const MetaArgs& args, const MetaResult& result, const Attributes& told,
                            bool contended) {
  if (told.type != FileType::regular) return LeaseKind::read;
  const auto* acquires = std::get_if<AcquireLeaseArgs>(&args);
  if (acquires != nullptr && acquires->kind == LeaseKind::write)
    return contended ? LeaseKind::write_once : LeaseKind::write;
  const auto* opens = std::get_if<OpenArgs>(&args);
  const auto* opened = std::get_if<OpenResult>(&result);
  const bool writes = (opens != nullptr && opens->write) || (opened != nullptr && opened->created);
  return writes && !contended ? LeaseKind::write : LeaseKind::read;
}

struct LeaseGrantee {
  SessionId session;
  const MetaArgs& args;
  FakeLeases::Turn turn;
};

// Says in an answer what comes with it.
inline void grant_leases(FakeLeases& leases, const FakeInodes& inodes, const LeaseGrantee& to,
                         MetaResult& result) {
  const bool may_be_late = std::holds_alternative<ReadDirArgs>(to.args) ||
                           std::holds_alternative<SetLockArgs>(to.args);
  // What has no name left interests those alone who have it open.
  const bool is_used = std::holds_alternative<AcquireLeaseArgs>(to.args) ||
                       std::holds_alternative<OpenResult>(result);
  std::uint64_t order = 0;
  for_each_attributes(result, [&](Attributes& told) {
    const bool is_written = leases.most_elsewhere(to.session, told.inode) >= LeaseKind::write;
    told.provisional = may_be_late && is_written;
    if (told.nlink == 0 && !is_used) return;
    if (told.provisional || told.consistency != Consistency::strict) return;
    const bool contended = leases.contended.contains(told.inode);
    const LeaseKind wish = lease_wish(to.args, result, told, contended);
    told.lease = leases.grant(to.session, told.inode, wish, to.turn, order);
    if (told.lease != LeaseKind::none) told.lease_order = order;
  });
  const auto grant_directory = [&](InodeId inode, LeaseKind& lease, std::uint64_t& lease_order) {
    const Attributes& told = inodes.at(inode).attributes;
    if (told.nlink == 0 || told.consistency != Consistency::strict) return;
    lease = leases.grant(to.session, inode, LeaseKind::read, to.turn, order);
    if (lease != LeaseKind::none) lease_order = order;
  };
  if (const auto* lookup = std::get_if<LookupArgs>(&to.args)) {
    auto& entry = std::get<EntryResult>(result);
    grant_directory(lookup->parent, entry.parent_lease, entry.parent_lease_order);
  }
  if (const auto* list = std::get_if<ReadDirArgs>(&to.args)) {
    auto& listed = std::get<ReadDirResult>(result);
    grant_directory(list->inode, listed.lease, listed.lease_order);
  }
}

}  // namespace dfs
