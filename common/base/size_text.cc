// Sizes as people write and read them: the text half of config_file.h.
#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include <fmt/format.h>

#include "common/base/config_file.h"
#include "common/base/ids.h"

namespace dfs {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array kUnits = {Unit{"TiB", TiB}, Unit{"GiB", GiB}, Unit{"MiB", MiB}, Unit{"KiB", KiB}};

// 2^64 as a double; what is not below it does not fit.
constexpr double kTooMany = 18446744073709551616.0;

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

tl::unexpected<Error> not_a_size(std::string_view text) {
  return fail(Errc::invalid, "\"" + std::string(text.substr(0, 100)) +
                                 "\" is not a size; write bytes, or a number with KiB, MiB, GiB or TiB");
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::string_view number = without_blanks(text);
  std::uint64_t unit_bytes = 1;
  for (const Unit& unit : kUnits) {
    if (!number.ends_with(unit.name)) continue;
    number = without_blanks(number.substr(0, number.size() - unit.name.size()));
    unit_bytes = unit.bytes;
    break;
  }
  if (unit_bytes == 1 && number.ends_with("B")) number = without_blanks(number.substr(0, number.size() - 1));

  const char* const end = number.data() + number.size();
  std::uint64_t whole = 0;
  const auto [whole_end, whole_error] = std::from_chars(number.data(), end, whole);
  if (whole_error == std::errc() && whole_end == end) {
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(whole, unit_bytes, &bytes)) return not_a_size(text);
    return bytes;
  }
  double fraction = 0;
  const auto [end_of_fraction, error] = std::from_chars(number.data(), end, fraction, std::chars_format::fixed);
  const bool is_number = error == std::errc() && end_of_fraction == end && std::isfinite(fraction);
  if (!is_number || fraction < 0 || unit_bytes == 1) return not_a_size(text);
  const double bytes = fraction * static_cast<double>(unit_bytes);
  if (bytes >= kTooMany) return not_a_size(text);
  return static_cast<std::uint64_t>(bytes);
}

std::string format_size(std::uint64_t bytes) {
  for (const Unit& unit : kUnits) {
    if (bytes < unit.bytes) continue;
    const double count = static_cast<double>(bytes) / static_cast<double>(unit.bytes);
    return bytes % unit.bytes == 0 ? fmt::format("{} {}", bytes / unit.bytes, unit.name)
                                   : fmt::format("{:.1f} {}", count, unit.name);
  }
  return fmt::format("{} B", bytes);
}

}  // namespace dfs
