#pragma once

#include <string>
#include <vector>

namespace longshadow {

/// The share of a cache's slots to keep.
struct Budget {
  std::string text;  ///< as it was typed, which run files hold
  double share;      ///< above 0 and at most 1
};

/// Reads a share above 0 and at most 1, as in "0.4". Throws UsageError.
Budget parse_budget(const std::string& text);

/// Reads several, joined with commas. Throws UsageError.
std::vector<Budget> parse_budgets(const std::string& list);

}  // namespace longshadow
