#include "probes/subjects/budget.h"

#include <algorithm>
#include <charconv>

#include "engine/core/error.h"

namespace longshadow {

Budget parse_budget(const std::string& text) {
  double share = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), share);
  if (failure != std::errc() || end != text.data() + text.size() || !(share > 0 && share <= 1)) {
    throw UsageError(
        "expected the share of the cache to keep, above 0 and at most 1, as in 0.4, "
        "found \"" +
        text + "\"");
  }
  return {text, share};
}

std::vector<Budget> parse_budgets(const std::string& list) {
  std::vector<Budget> budgets;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    budgets.push_back(parse_budget(list.substr(begin, end - begin)));
    begin = end + 1;
  }
  return budgets;
}

}  // namespace longshadow
