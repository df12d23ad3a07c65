#pragma once

#include <cstddef>
#include <span>

#include "engine/policy/policy.h"
#include "engine/policy/policy_options.h"

namespace longshadow {

/// out[i] = the sum of values[i] and its kernel / 2 neighbours on either side, one outside counting
/// as zero; out is as long as values or longer, and the rest of it stays as it is.
void sum_neighbours(std::span<const double> values, std::size_t kernel, std::span<double> out);

/// What the prompt's last tokens look at (Li et al. 2024, SnapKV, arXiv 2404.14469).
struct WindowAttention {
  std::size_t window;  ///< queries at the prompt's end, and as many protected tokens
  std::size_t kernel;  ///< neighbours averaged over, odd

  /// Options: window and kernel, by default SnapKV's 64 and 5. Throws UsageError.
  explicit WindowAttention(PolicyOptions& options, std::size_t default_window = 64,
                           std::size_t default_kernel = 5);

  /// The window protected, and its queries' attention asked for.
  PolicyTraits traits(std::size_t n_sink) const;

  /// The mean over the window's queries of what they give to each token before the window, averaged
  /// over `kernel` neighbours; a neighbour outside counts as zero. The window's own tokens score 0.
  TokenScores scores(const LayerView& view) const;
};

}  // namespace longshadow
