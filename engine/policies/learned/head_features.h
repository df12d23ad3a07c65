#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/core/matrix.h"
#include "engine/policy/policy.h"

namespace longshadow {

/// What a ranking of tokens can be learnt from: numbers of each token j and KV head, of what a
/// cache of n tokens and the text's last 64 queries tell. A window of w = min(64, n) queries, the
/// softmax weights p_ij and what leaving a token out changes are as in WindowStatistics; d is the
/// distance to the end, n less the token's slot.
enum class HeadFeature {
  window_mean,      ///< log(mean of p_ij + 1e-8)
  window_largest,   ///< log(largest p_ij + 1e-8)
  window_latest,    ///< log(mean of p_ij over the last 16 queries + 1e-8)
  removal,          ///< log(DropKV's closed form, a mean over the window, + 1e-12)
  key_norm,         ///< log(|k_j| + 1e-6)
  value_norm,       ///< log(|v_j| + 1e-6)
  output_norm,      ///< log(sqrt(v_j' G v_j) + 1e-6), G as LayerView::output_gram
  key_cosine,       ///< cos(k_j, mean of the head's keys), 0 where either is zero
  distance,         ///< log d
  distance_square,  ///< (log d)²
  cumulative,  ///< log(mean of p_ij over all queries that see j + 1e-8): not while text is written
};

inline constexpr std::size_t kHeadFeatures = 11;

/// "window_mean" and so on.
std::string_view name_of(HeadFeature feature);

/// Empty: no feature has that name.
std::optional<HeadFeature> head_feature(std::string_view name);

/// What must be gathered for these features.
PolicyTraits traits_for(std::span<const HeadFeature> features);

/// The features of every KV head, [features, n] each. The view is one for traits_for(features).
/// Threads share the work, and the bits are the same for any number.
std::vector<Matrix<double>> head_features(const LayerView& view,
                                          std::span<const HeadFeature> features);

}  // namespace longshadow
