#pragma once

#include <cstddef>
#include <vector>

#include "engine/config/config.h"

namespace longshadow {

/// Radians per position of each pair, [head_dim / 2]: theta^(-2 i / d) of the pairs that are
/// rotated, with d for the elements in them, 0 of the others; stretched as the configuration says
/// and transformers' rope_type of that name does:
///   linear   divides them by `factor`;
///   dynamic  grows theta with the text, by ((factor n / original_context) - (factor - 1))^(d / (d
///   -
///            2)) where n is above original_context: of a text of n tokens, all of which are read
///            with the same frequencies (transformers does where it reads them in one pass);
///   yarn     divides those of pairs that turn less often than beta_slow within original_context,
///            keeps those that turn more often than beta_fast, and goes over linearly between the
///            two (Peng et al. 2023, arXiv 2309.00071);
///   llama3   keeps wavelengths below original_context / high_frequency_factor, divides those above
///            original_context / low_frequency_factor and blends in between (The Llama 3 Herd of
///            Models, arXiv 2407.21783);
///   longrope divides each by a number of its own, which differs between texts of up to
///            original_context tokens and longer ones (Ding et al. 2024, arXiv 2402.13753).
std::vector<double> rotary_frequencies(const RopeConfig& rope, std::size_t head_dim,
                                       std::size_t n_tokens);

/// rotary_frequencies() of every layer, [L] of [head_dim / 2]: zeros, by which nothing turns, where
/// the layer has no rotary positions.
std::vector<std::vector<double>> layer_frequencies(const ModelConfig& config, std::size_t n_tokens);

/// RopeConfig::attention_factor of every layer, [L].
std::vector<double> layer_attention_factors(const ModelConfig& config);

}  // namespace longshadow
