#include "tests/model/feature.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "common/base/unique_fd.h"
#include "tests/model/side.h"

namespace dfs::model {
namespace {

constexpr const char* kNames[kFeatures] = {
    "fallocate",        "fallocate keeping the size", "punch hole",       "zero range",
    "zero range keeping the size", "collapse range",  "insert range",     "copy_file_range",
    "RENAME_NOREPLACE", "RENAME_EXCHANGE",            "user.* attributes", "trusted.* attributes",
    "O_DIRECT",         "O_TMPFILE"};

// What the mount may refuse. A row goes when the feature comes.
struct Refusal {
  Feature feature;
  int error;
  const char* reason;
};
constexpr Refusal kRefusals[] = {
    {Feature::collapse_range, EOPNOTSUPP, "the kernel's FUSE client refuses it without asking the mount"},
    {Feature::insert_range, EOPNOTSUPP, "the kernel's FUSE client refuses it without asking the mount"},
};

constexpr off_t kUnit = 4096;

constexpr const char* kFile = "probe";
constexpr const char* kOther = "probe-other";

class Prober {
 public:
  explicit Prober(const Side& side) : side_(side) {}
  ~Prober() {
    ::unlinkat(side_.root(), kFile, 0);
    ::unlinkat(side_.root(), kOther, 0);
  }

  Result<Probed> run() {
    file_ = make(kFile);
    other_ = make(kOther);
    if (!file_ || !other_) return fail_errno(errno, side_.path("probe"));
    if (::ftruncate(file_.get(), 8 * kUnit) != 0) return fail_errno(errno, side_.path("probe"));
    Probed found{};
    for (std::size_t at = 0; at < kFeatures; ++at) {
      errno = 0;
      found[at] = works(static_cast<Feature>(at)) ? 0 : errno;
    }
    return found;
  }

 private:
  UniqueFd make(const char* name) const {
    return UniqueFd(::openat(side_.root(), name, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  }
  bool allocates(int mode) const { return ::fallocate(file_.get(), mode, kUnit, kUnit) == 0; }
  bool renames(const char* to, unsigned flags) const {
    return ::renameat2(side_.root(), kFile, side_.root(), to, flags) == 0;
  }
  bool opens(const char* name, int flags) const {
    return bool(UniqueFd(::openat(side_.root(), name, flags | O_RDWR | O_CLOEXEC, 0600)));
  }

  bool works(Feature feature) const {
    switch (feature) {
      case Feature::allocate: return allocates(0);
      case Feature::allocate_keep: return allocates(FALLOC_FL_KEEP_SIZE);
      case Feature::punch_hole: return allocates(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
      case Feature::zero_range: return allocates(FALLOC_FL_ZERO_RANGE);
      case Feature::zero_range_keep: return allocates(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
      case Feature::collapse_range: return allocates(FALLOC_FL_COLLAPSE_RANGE);
      case Feature::insert_range: return allocates(FALLOC_FL_INSERT_RANGE);
      case Feature::copy_file_range:
        return ::copy_file_range(file_.get(), nullptr, other_.get(), nullptr, kUnit, 0) > 0;
      case Feature::rename_exchange: return renames(kOther, RENAME_EXCHANGE);
      case Feature::rename_noreplace: return !renames(kOther, RENAME_NOREPLACE) && errno == EEXIST;
      case Feature::user_xattrs: return ::fsetxattr(file_.get(), "user.probe", "1", 1, 0) == 0;
      case Feature::trusted_xattrs: return ::fsetxattr(file_.get(), "trusted.probe", "1", 1, 0) == 0;
      case Feature::direct_open: return side_.is_reference() || opens(kFile, O_DIRECT);
      case Feature::temporary_open: return opens(".", O_TMPFILE);
      case Feature::count: break;
    }
    return false;
  }

  const Side& side_;
  UniqueFd file_, other_;
};

const Refusal* refusal_of(Feature feature) {
  for (const Refusal& refusal : kRefusals) {
    if (refusal.feature == feature) return &refusal;
  }
  return nullptr;
}

const char* error_name(int error) {
  const char* name = ::strerrorname_np(error);
  return name != nullptr ? name : "?";
}

}  // namespace

const char* name_of(Feature feature) { return kNames[static_cast<std::size_t>(feature)]; }

Result<Probed> probe(const Side& side) { return Prober(side).run(); }

bool Features::on_both(Feature feature) const {
  const auto at = static_cast<std::size_t>(feature);
  return reference[at] == 0 && mount[at] == 0;
}

bool Features::refused_by_mount_only(Feature feature) const {
  const auto at = static_cast<std::size_t>(feature);
  return reference[at] == 0 && mount[at] != 0;
}

Result<void> Features::check() const {
  for (std::size_t at = 0; at < kFeatures; ++at) {
    const auto feature = static_cast<Feature>(at);
    if (!refused_by_mount_only(feature)) continue;
    const Refusal* refusal = refusal_of(feature);
    if (refusal == nullptr || refusal->error != mount[at])
      return fail(Errc::unsupported, fmt::format("the mount refuses {} with {}, and no row of kRefusals lets it",
                                                 name_of(feature), error_name(mount[at])));
  }
  return {};
}

std::string Features::describe() const {
  std::string text;
  for (std::size_t at = 0; at < kFeatures; ++at) {
    const auto feature = static_cast<Feature>(at);
    if (on_both(feature)) continue;
    if (refused_by_mount_only(feature)) {
      const Refusal* refusal = refusal_of(feature);
      text += fmt::format("not compared: {}; the mount answers {}: {}\n", name_of(feature), error_name(mount[at]),
                          refusal != nullptr ? refusal->reason : "no reason is known");
    } else {
      text += fmt::format("not compared: {}; the reference answers {}\n", name_of(feature), error_name(reference[at]));
    }
  }
  return text;
}

}  // namespace dfs::model
