#include "common/client/removed_inodes.h"

namespace dfs {
namespace {

void clear_set_id(Attributes& attributes) {
  if (attributes.type == FileType::directory) return;
  attributes.mode &= ~04000U;
  if ((attributes.mode & 010U) != 0) attributes.mode &= ~02000U;
}

void apply(const SetAttrArgs& args, const Caller& caller, WallNanos now, Attributes& attributes) {
  const bool changes_owner = args.uid || args.gid;
  if (args.uid) attributes.uid = *args.uid;
  if (args.gid) attributes.gid = *args.gid;
  if (args.mode) {
    attributes.mode = *args.mode;
  } else if (args.clear_set_id || (changes_owner && caller.uid != 0)) {
    clear_set_id(attributes);
  }
  if (args.atime_now) attributes.atime = now;
  if (args.mtime_now) attributes.mtime = now;
  if (args.atime) attributes.atime = *args.atime;
  if (args.mtime) attributes.mtime = *args.mtime;
  attributes.ctime = args.ctime.value_or(now);
  ++attributes.change;
}

}  // namespace

Attributes* RemovedInodes::Table::use(InodeId inode) {
  const auto place = places.find(inode);
  if (place == places.end()) return nullptr;
  by_use.splice(by_use.begin(), by_use, place->second);
  return &by_use.front();
}

void RemovedInodes::add(const Attributes& last) {
  table_.with([&](Table& table) {
    if (Attributes* known = table.use(last.inode)) {
      *known = last;
      return;
    }
    if (table.by_use.size() >= inodes_max_) {
      table.places.erase(table.by_use.back().inode);
      table.by_use.pop_back();
    }
    table.by_use.push_front(last);
    table.places[last.inode] = table.by_use.begin();
  });
}

void RemovedInodes::learn(const Attributes& fresh) {
  table_.with([&](Table& table) {
    Attributes* known = table.use(fresh.inode);
    if (known != nullptr && fresh.change >= known->change) *known = fresh;
  });
}

std::optional<Attributes> RemovedInodes::find(InodeId inode) {
  return table_.with([&](Table& table) -> std::optional<Attributes> {
    const Attributes* known = table.use(inode);
    if (known == nullptr) return std::nullopt;
    return *known;
  });
}

std::optional<Attributes> RemovedInodes::change(const SetAttrArgs& args, const Caller& caller,
                                                WallNanos now) {
  if (args.size) return std::nullopt;
  return table_.with([&](Table& table) -> std::optional<Attributes> {
    Attributes* known = table.use(args.inode);
    if (known == nullptr) return std::nullopt;
    apply(args, caller, now, *known);
    return *known;
  });
}

}  // namespace dfs
