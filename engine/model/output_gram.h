#pragma once

#include <vector>

#include "engine/core/matrix.h"
#include "engine/model/weights.h"

namespace longshadow {

/// Of every layer, on the host, K heads of [d, d]: the mean of W_O,hᵀ W_O,h over a KV head's query
/// heads h, where W_O,h [D, d] takes the head's attention output to the residual stream. So
/// v' G v is the mean squared length that a value v has there. Products and sums are f32.
template <class Device, class T>
std::vector<Matrix<float>> output_grams(Device& device, const Weights<T>& weights);

}  // namespace longshadow
