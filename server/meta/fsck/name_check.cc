#include "server/meta/fsck/name_check.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace dfs::fsck {

Result<void> NameCheck::first() {
  TRY(names_.first());
  return listing_.first();
}

std::optional<InodeId> NameCheck::next() const {
  if (!names_.valid() && !listing_.valid()) return std::nullopt;
  if (!names_.valid()) return listing_.key().parent;
  if (!listing_.valid()) return names_.key().inode;
  return std::min(names_.key().inode, listing_.key().parent);
}

Result<void> NameCheck::check(const Subject& directory) {
  Counts counts;
  while (names_.valid() && names_.key().inode == directory.inode) {
    TRY(check_name(directory, counts));
    TRY(names_.next());
  }
  std::uint64_t listing = 0;
  for (; listing_.valid() && listing_.key().parent == directory.inode; ++listing) {
    counts.last_cookie = std::max(counts.last_cookie, listing_.key().cookie);
    TRY(listing_.next());
  }
  // Each of the names has an entry of its own; others belong to none.
  if (listing > counts.listed) TRY(check_listing(directory));
  if (directory.record) TRY(check_counts(directory, counts));
  return {};
}

Result<void> NameCheck::check_name(const Subject& directory, Counts& counts) {
  const DirentRecord* entry = names_.record();
  if (entry == nullptr) {  // row_pass.h has said so; it may have its listing entry
    ++counts.names;
    return {};
  }
  Finding about{.problem = Problem::dangling_name,
                .mendable = true,
                .inode = entry->inode,
                .parent = names_.key().inode,
                .name = names_.key().name,
                .cookie = entry->cookie};
  ++counts.names;
  const bool found = TRY(children_.find(entry->inode));
  const InodeRecord* child = found ? children_.record() : nullptr;
  const FileType type = child != nullptr ? child->type : entry->type;
  counts.subdirectories += type == FileType::directory;
  const bool lies_in_nothing =
      !directory.is_unreadable() && (!directory.record || !directory.record->is_directory());
  if (lies_in_nothing) {
    // The root is made anew, and what is in it stays where it is.
    if (directory.inode == kRootInode) return check_listed(directory, about, counts);
    about.problem = Problem::name_in_nothing;
    about.text = fmt::format("the name {} of inode {} lies in inode {}, which is no directory",
                             about.name, about.inode.value(), about.parent.value());
    ++counts.listed;
    return sink_.found(std::move(about));
  }
  if (!found) {
    about.problem = Problem::dangling_name;
    const std::string path = TRY(paths_.of_entry(about.parent, about.name));
    about.text = fmt::format("{} leads to inode {}, which does not exist", path, about.inode.value());
    ++counts.listed;
    return sink_.found(std::move(about));
  }
  if (child != nullptr && child->type != entry->type) {
    Finding wrong = about;
    wrong.problem = Problem::wrong_name_type;
    const std::string path = TRY(paths_.of_entry(about.parent, about.name));
    wrong.text = fmt::format("{} says another type than its inode {}", path, about.inode.value());
    TRY(sink_.found(std::move(wrong)));
  }
  return check_listed(directory, about, counts);
}

Result<void> NameCheck::check_listed(const Subject& directory, const Finding& about, Counts& counts) {
  const DirentRecord& entry = *names_.record();
  counts.last_cookie = std::max(counts.last_cookie, entry.cookie);
  const bool found = TRY(listed_.find({directory.inode, entry.cookie}));
  const ListingRecord* listed = found ? listed_.record() : nullptr;
  counts.listed += found;
  if (listed != nullptr && listed->name == about.name && listed->inode == entry.inode &&
      listed->type == entry.type)
    return {};
  // Another name's: that one has it.
  if (listed != nullptr && listed->name != about.name) --counts.listed;
  Finding missing = about;
  missing.problem = Problem::unlisted_name;
  const std::string path = TRY(paths_.of_entry(about.parent, about.name));
  missing.text = fmt::format("{} is not listed in its directory as it should be", path);
  return sink_.found(std::move(missing));
}

Result<void> NameCheck::check_listing(const Subject& directory) {
  TableRows<tables::Listing>& rows = listed_;
  TRY(rows.seek({directory.inode, 0}));
  while (rows.valid() && rows.key().parent == directory.inode) {
    const ListingRecord* listed = rows.record();
    if (listed != nullptr) {
      const bool found = TRY(named_.find({directory.inode, listed->name}));
      const DirentRecord* entry = found ? named_.record() : nullptr;
      const bool is_lost = !found || entry == nullptr || entry->cookie != rows.key().cookie;
      if (is_lost) {
        const std::string path = TRY(paths_.of_entry(directory.inode, listed->name));
        TRY(sink_.found({.problem = Problem::listed_nothing,
                         .text = fmt::format("{} is listed in its directory, but cannot be looked up "
                                             "there",
                                             path),
                         .mendable = true,
                         .inode = listed->inode,
                         .parent = directory.inode,
                         .name = listed->name,
                         .cookie = rows.key().cookie}));
      }
    }
    TRY(rows.next());
  }
  return {};
}

Result<void> NameCheck::check_counts(const Subject& directory, const Counts& counts) {
  const InodeRecord& record = *directory.record;
  if (!record.is_directory()) return {};
  const auto found = [&](Problem problem, const std::string& what, std::int64_t delta) -> Result<void> {
    const std::string path = TRY(paths_.of(directory.inode));
    return sink_.found({.problem = problem,
                        .text = fmt::format("{} {}", path, what),
                        .mendable = true,
                        .inode = directory.inode,
                        .offset = counts.last_cookie,
                        .delta = delta});
  };
  if (record.entries != counts.names)
    TRY(found(Problem::wrong_entries,
              fmt::format("counts {} names, but has {}", record.entries, counts.names),
              static_cast<std::int64_t>(counts.names - record.entries)));
  // One that is removed and held has no links; whether that is right is seen of its names.
  const bool is_gone = record.nlink == 0 && counts.names == 0;
  const std::uint64_t links = 2 + counts.subdirectories;
  if (!is_gone && record.nlink != links)
    TRY(found(Problem::wrong_subdirectories,
              fmt::format("counts {} links, but with its subdirectories it has {}", record.nlink,
                          links),
              static_cast<std::int64_t>(links) - record.nlink));
  if (counts.last_cookie >= record.next_cookie)
    TRY(found(Problem::cookie_given_again,
              fmt::format("would give place {} of its listing once more", counts.last_cookie),
              0));
  return {};
}

}  // namespace dfs::fsck
