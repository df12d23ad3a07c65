#pragma once

#include <cstddef>
#include <vector>

#include "engine/core/matrix.h"
#include "engine/model/weights.h"

namespace longshadow {

/// Computes for every layer, on the host, H / `group` heads G of [d, d]: the mean of W_O,hᵀ W_O,h
/// over `group` query heads h that follow one another, where W_O,h [D, d] takes the head's
/// attention output to the residual stream. So v' G v is the mean squared length that a value v has
/// there. Products and sums are f32. `group` divides a KV head's query heads.
std::vector<Matrix<float>> output_grams(Device& device, const Weights& weights, std::size_t group);

}  // namespace longshadow
