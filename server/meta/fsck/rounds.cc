#include "server/meta/fsck/rounds.h"

#include <functional>
#include <unordered_set>
#include <utility>

#include "server/meta/fsck/check.h"

namespace dfs::fsck {
namespace {

// What is mended in one round can be the reason of something in the next; a
// chain of more is left to another run.
constexpr int kRoundsMax = 16;
// So many reports are remembered, to be made once only.
constexpr std::size_t kKnownMax = 500'000;

using Texts = std::unordered_set<std::size_t>;  // hashes

class Round final : public FindingSink {
 public:
  // `known` has been reported, `unsettled` was to be looked at again.
  Round(Mender* mender, Listener& listener, Texts& known, Texts& unsettled)
      : mender_(mender), listener_(listener), known_(known), unsettled_(unsettled) {}

  Result<void> found(Finding finding) override {
    Report report{.text = finding.text, .mendable = finding.mendable};
    if (finding.mendable && mender_ != nullptr) {
      auto mended = mender_->mend(finding);
      if (mended && *mended) {
        ++summary_.mended;
        report.mended = std::move(**mended);
        return listener_.report(std::move(report));
      }
      // It has changed since the snapshot: the next round shows how it is now.
      if (mended && is_news(unsettled_, report.text)) {
        has_unsettled_ = true;
        return {};
      }
      report.not_mended = mended ? "it does not stay as it is found" : mended.error().to_string();
    }
    ++summary_.left;
    if (!is_news(known_, report.text)) return {};
    return listener_.report(std::move(report));
  }
  Result<void> passed(std::uint64_t rows) override { return listener_.passed(rows); }
  bool has_mended() const override { return summary_.mended > 0; }

  const Summary& summary() const { return summary_; }
  bool wants_another() const { return summary_.mended > 0 || has_unsettled_; }

 private:
  static bool is_news(Texts& texts, const std::string& text) {
    const std::size_t hash = std::hash<std::string>{}(text);
    return texts.size() < kKnownMax ? texts.insert(hash).second : !texts.contains(hash);
  }

  Mender* const mender_;
  Listener& listener_;
  Texts& known_;
  Texts& unsettled_;
  Summary summary_;
  bool has_unsettled_ = false;
};

}  // namespace

Result<Summary> check_in_rounds(const KvStore& store, Mender* mender, Listener& listener) {
  Texts known;
  Texts unsettled;
  Summary summary;
  for (int count = 0; count < kRoundsMax; ++count) {
    Round round(mender, listener, known, unsettled);
    const auto snapshot = store.snapshot();
    TRY(check_tables(*snapshot, round));
    summary.mended += round.summary().mended;
    summary.left = round.summary().left;
    if (!round.wants_another()) return summary;
  }
  ++summary.left;  // whatever the next round would have found
  return summary;
}

}  // namespace dfs::fsck
