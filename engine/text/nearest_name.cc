#include "engine/text/nearest_name.h"

#include <algorithm>
#include <numeric>

namespace longshadow {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);  // from a's first i characters to each prefix of b
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string_view nearest_name(std::string_view text, std::span<const std::string_view> names) {
  return nearest_names(text, names, 1).front();
}

std::vector<std::string_view> nearest_names(std::string_view text,
                                            std::span<const std::string_view> names,
                                            std::size_t most) {
  std::vector<std::string_view> nearest(names.begin(), names.end());
  std::ranges::stable_sort(nearest, {},
                           [&](std::string_view name) { return edit_distance(text, name); });
  nearest.resize(std::min(most, nearest.size()));
  return nearest;
}

std::string comma_list(std::span<const std::string_view> names) {
  std::string list;
  for (const std::string_view name : names) {
    if (!list.empty()) list += ", ";
    list += name;
  }
  return list;
}

}  // namespace longshadow
