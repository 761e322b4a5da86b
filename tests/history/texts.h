// Texts as small numbers, in the order in which they come.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace dfs::history {

class Texts {
 public:
  Texts() = default;
  explicit Texts(const std::vector<std::string>& first) {
    for (const std::string& text : first) number_of(text);
  }

  std::uint32_t number_of(const std::string& text) {
    const auto [place, is_new] = numbers_.try_emplace(text, static_cast<std::uint32_t>(texts_.size()));
    if (is_new) texts_.push_back(text);
    return place->second;
  }
  const std::string& text_of(std::uint32_t number) const { return texts_.at(number); }
  std::size_t size() const { return texts_.size(); }

 private:
  std::map<std::string, std::uint32_t> numbers_;
  std::vector<std::string> texts_;
};

}  // namespace dfs::history
