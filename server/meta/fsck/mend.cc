#include "server/meta/fsck/mend.h"

#include <fmt/format.h>

#include "server/meta/fsck/mend_steps.h"

namespace dfs::fsck {
namespace {

using Done = std::optional<std::string>;

constexpr std::size_t kRepliesAtOnce = 1'024;

template <typename Table>
bool erase_if(MendContext& context, std::string_view raw) {
  if (raw.empty() || raw.front() != Table::kPrefix) return false;
  typename Table::Key key;
  if (!keys::parse(raw.substr(1), key)) return false;
  // One that holds by now has been written since.
  const auto found = context.txn.template find<Table>(key);
  if (found.has_value() || found.error().code != Errc::corrupt) return false;
  context.txn.template erase<Table>(key);
  return true;
}

Result<Done> mend_row(MendContext& context, const Finding& finding) {
  const std::string_view raw = finding.raw_key;
  if (erase_if<tables::Listing>(context, raw))
    return "removed it; if it was the listing entry of a name, it is made anew";
  if (erase_if<tables::Garbage>(context, raw))
    return "removed it; storage servers that still have the chunk say so when lists are compared";
  if (erase_if<tables::Missing>(context, raw))
    return "removed it; a copy that is missing is found again when lists are compared";
  if (erase_if<tables::Replies>(context, raw)) return "removed it: a reply that was kept for a repeat";
  return Done{};
}

Result<Done> mend_ids(MendContext& context, const Finding& finding) {
  ClusterRecord wanted = context.row.record();
  const std::uint64_t next = finding.offset + 1;
  if (finding.name == "inode") wanted.next_inode = InodeId{next};
  if (finding.name == "storage server") wanted.next_server = ServerId{static_cast<std::uint32_t>(next)};
  if (finding.name == "group") wanted.next_group = GroupId{static_cast<std::uint32_t>(next)};
  if (finding.name == "session") wanted.next_session = SessionId{next};
  context.row.raise_ids(wanted);
  return fmt::format("the next {} gets number {}", finding.name, next);
}

Result<Done> mend_total(MendContext& context, const Finding& finding) {
  Totals& totals = context.row.totals();
  const auto mend_one = [&](const char* name, std::uint64_t& total) {
    if (finding.name == name) total = corrected(total, finding.delta);
  };
  mend_one("inodes", totals.inodes);
  mend_one("chunks", totals.chunks);
  mend_one("bytes in chunks", totals.chunk_bytes);
  mend_one("missing copies", totals.missing);
  mend_one("bytes of missing copies", totals.missing_bytes);
  mend_one("garbage chunks", totals.garbage);
  mend_one("directories to be converted", totals.walks);
  mend_one("files to be converted", totals.conversions);
  mend_one("bytes to be converted", totals.conversion_bytes);
  return "corrected the number";
}

Result<Done> mend_replies(MendContext& context, const Finding& finding) {
  const SessionRecord* session = TRY(context.txn.find<tables::Sessions>(finding.session));
  if (session != nullptr) return Done{};
  const auto rows = TRY(context.txn.rows<tables::Replies>(
      {finding.session, Sequence{}}, {SessionId{finding.session.value() + 1}, Sequence{}},
      kRepliesAtOnce));
  for (const auto& row : rows) context.txn.erase<tables::Replies>(row.key);
  if (rows.empty()) return Done{};
  return "removed them";
}

}  // namespace

Result<Done> mend(MendContext& context, const Finding& finding) {
  if (!finding.mendable) return Done{};
  switch (finding.problem) {
    case Problem::unreadable_row: return mend_row(context, finding);
    case Problem::ids_given_again: return mend_ids(context, finding);
    case Problem::wrong_total: return mend_total(context, finding);
    case Problem::reply_of_nobody: return mend_replies(context, finding);
    case Problem::dangling_name:
    case Problem::name_in_nothing:
    case Problem::wrong_name_type:
    case Problem::unlisted_name:
    case Problem::listed_nothing:
    case Problem::second_name:
    case Problem::wrong_parent:
    case Problem::circle:
      return mend_names(context, finding);
    case Problem::no_root:
    case Problem::cookie_given_again:
    case Problem::wrong_entries:
    case Problem::wrong_subdirectories:
    case Problem::wrong_links:
    case Problem::nameless:
    case Problem::forgotten:
    case Problem::named_orphan:
    case Problem::orphan_of_nothing:
    case Problem::wrong_allocated:
    case Problem::wrong_size:
    case Problem::xattr_of_nothing:
    case Problem::wrong_xattrs:
      return mend_inodes(context, finding);
    default:
      return mend_chunks(context, finding);
  }
}

}  // namespace dfs::fsck
