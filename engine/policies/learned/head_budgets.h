#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/policy/policy.h"
#include "engine/policy/policy_options.h"

namespace longshadow {

/// How much of the cache each KV head deserves, at some budgets: what `longshadow learn budgets`
/// writes and data/FORMAT.md describes.
struct HeadBudgets {
  CacheShape shape{};
  /// [B], ascending in (0, 1]: shares of the slots that a KV head keeps in the mean.
  std::vector<double> budgets;
  /// [B, L, K] in [0, 1]: shares of its slots that each keeps at that budget, whose mean it is.
  std::vector<double> shares;
};

/// What a model's budgets for a ranking, as make_policy() reads it, are called in learned_folder().
std::string budgets_file(const std::string& ranking);

/// Reads a budgets file of the model. Throws Error where it is malformed, of another model, or its
/// shares are not those of its budgets.
HeadBudgets read_head_budgets(const std::filesystem::path& path, const PolicyModel& model);

/// Slots of n tokens for each KV head, [L, K], `mean` L K in all: the shares at the budget mean /
/// n, on a straight line between the budgets of the table (below the first in proportion, above the
/// last towards all slots), raised to `least` slots where they are fewer and scaled so that the sum
/// is met; the slots that rounding leaves go to the largest remainders, of equal ones to the first.
/// `mean` is at most n. Throws UsageError where it is under `least`.
std::vector<std::size_t> slots_by_head(const HeadBudgets& table, std::size_t n, std::size_t mean,
                                       std::size_t least);

}  // namespace longshadow
