#pragma once

#include <cstddef>
#include <vector>

#include "engine/model/config.h"

namespace longshadow {

/// Radians per position of each rotated pair, [head_dim / 2]: theta^(-2 i / d), stretched as the
/// configuration says. llama3 scaling keeps wavelengths below original_context /
/// high_frequency_factor, divides those above original_context / low_frequency_factor by `factor`
/// and blends in between (The Llama 3 Herd of Models, arXiv 2407.21783; transformers' rope_type
/// "llama3").
std::vector<double> rotary_frequencies(const RopeConfig& rope, std::size_t head_dim);

}  // namespace longshadow
