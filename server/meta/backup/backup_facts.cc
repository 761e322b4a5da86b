#include "server/meta/backup/backup_facts.h"

#include <charconv>

#include <fmt/format.h>

#include "common/base/process.h"
#include "server/meta/core/cluster_format.h"

namespace dfs {
namespace {

constexpr const char* kWhat = "metadata backup";

template <typename Number>
Result<Number> number(const RowFileReader& file, std::string_view key) {
  const std::string& text = file.fact(key);
  Number value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || text.empty())
    return fail(Errc::invalid, fmt::format("the head of the backup does not say its {}", key));
  return value;
}

}  // namespace

RowFileFacts backup_facts(const ClusterRecord& cluster, WallNanos time) {
  return {{"what", kWhat},
          {"program", "dfs " + version()},
          {"cluster", cluster.cluster},
          {"format", std::to_string(cluster.format)},
          {"starts", std::to_string(cluster.starts)},
          {"generation", std::to_string(cluster.generation)},
          {"time", std::to_string(time)}};
}

Result<BackupHead> read_backup_head(const RowFileReader& file, const std::string& name) {
  if (file.fact("what") != kWhat)
    return fail(Errc::invalid, fmt::format("{} is no backup of metadata: it says that it is \"{}\"",
                                           name, file.fact("what")));
  BackupHead head;
  head.cluster = file.fact("cluster");
  head.format = TRY(number<std::uint32_t>(file, "format"));
  head.starts = TRY(number<std::uint64_t>(file, "starts"));
  head.generation = TRY(number<std::uint64_t>(file, "generation"));
  head.time = TRY(number<WallNanos>(file, "time"));
  if (head.format != kStoreFormat)
    return fail(Errc::wrong_version,
                fmt::format("{} holds tables of format {}; this program reads format {}", name,
                            head.format, kStoreFormat));
  return head;
}

}  // namespace dfs
