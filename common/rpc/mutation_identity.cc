// identity_of(): what tells two mutations of one operation apart, and nothing that
// comes from a clock or from what was known when it ran.
#include <type_traits>

#include "common/base/checksum.h"
#include "common/rpc/meta_api.h"

namespace dfs {
namespace {

class Identity {
 public:
  explicit Identity(std::size_t kind) { add(kind); }

  void add(std::uint64_t number) { text_.append(reinterpret_cast<const char*>(&number), sizeof number); }
  void add(InodeId inode) { add(inode.value()); }
  void add(const std::string& name) {
    add(name.size());
    text_ += name;
  }
  std::uint64_t value() const { return checksum_of(as_bytes(text_)); }

 private:
  std::string text_;
};

void describe(const SetAttrArgs& op, Identity& to) {
  to.add(op.inode);
  // Which of its attributes, in which way; the size is what a write may follow.
  const bool facts[] = {op.mode.has_value(),  op.uid.has_value(),   op.gid.has_value(),
                        op.size.has_value(),  op.atime.has_value(), op.mtime.has_value(),
                        op.ctime.has_value(), op.atime_now,         op.mtime_now,
                        op.clear_set_id};
  std::uint64_t bits = 0;
  for (const bool fact : facts) bits = bits << 1 | (fact ? 1 : 0);
  to.add(bits);
  to.add(op.size.value_or(0));
}
void describe(const CreateArgs& op, Identity& to) {
  to.add(op.parent);
  to.add(op.name);
  to.add(static_cast<std::uint64_t>(op.type));
}
void describe(const SymlinkArgs& op, Identity& to) {
  to.add(op.parent);
  to.add(op.name);
}
void describe(const LinkArgs& op, Identity& to) {
  to.add(op.inode);
  to.add(op.new_parent);
  to.add(op.new_name);
}
void describe(const UnlinkArgs& op, Identity& to) {
  to.add(op.parent);
  to.add(op.name);
}
void describe(const RenameArgs& op, Identity& to) {
  to.add(op.parent);
  to.add(op.name);
  to.add(op.new_parent);
  to.add(op.new_name);
}
void describe(const SetXattrArgs& op, Identity& to) {
  to.add(op.inode);
  to.add(op.name);
}
void describe(const RemoveXattrArgs& op, Identity& to) {
  to.add(op.inode);
  to.add(op.name);
}
void describe(const OpenArgs& op, Identity& to) { to.add(op.inode); }
void describe(const SetPolicyArgs& op, Identity& to) { to.add(op.inode); }
void describe(const CommitArgs& op, Identity& to) {
  for (const CommitFile& file : op.files) {
    to.add(file.inode);
    for (const FileRange& hole : file.holes) {
      to.add(hole.offset);
      to.add(hole.length);
    }
  }
}
void describe(const CloneArgs& op, Identity& to) {
  to.add(op.source);
  to.add(op.source_offset);
  to.add(op.inode);
  to.add(op.offset);
  to.add(op.length);
}
// The rest changes nothing.
template <typename Op>
void describe(const Op&, Identity&) {}

}  // namespace

std::uint64_t identity_of(const MetaArgs& args) {
  Identity identity(args.index());
  std::visit([&](const auto& op) { describe(op, identity); }, args);
  return identity.value();
}

}  // namespace dfs
