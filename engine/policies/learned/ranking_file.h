#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "engine/policies/learned/head_features.h"
#include "engine/policy/policy_options.h"

namespace longshadow {

/// A learnt ranking: of each layer and KV head a linear function of features, which estimates the
/// log of a token's influence.
struct Ranking {
  std::size_t n_layers = 0, n_kv_heads = 0;
  std::vector<HeadFeature> features;
  std::vector<double> weights;  ///< [L, K, F + 1], a constant behind the features'

  /// [F + 1]
  std::span<const double> of_head(std::size_t layer, std::size_t kv_head) const {
    const std::size_t size = features.size() + 1;
    return std::span(weights).subspan((layer * n_kv_heads + kv_head) * size, size);
  }
};

/// Reads a file of `longshadow learn ranking`, which data/FORMAT.md describes. Throws Error where
/// it is malformed, of another model, or names features that there are not.
Ranking read_ranking(const std::filesystem::path& path, const PolicyModel& model);

}  // namespace longshadow
