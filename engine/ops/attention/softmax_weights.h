#pragma once

#include <cstddef>

#include "engine/core/range.h"

namespace longshadow {

/// One row of a tile of scores becomes softmax weights, given the log of the sum of exp(score
/// scale) over the whole row: e^(score scale - log_normaliser), and 0 outside of the `visible`
/// columns. cols, the end of `visible` or more, is a multiple of the lanes.
template <class T>
void to_softmax_weights(T* scores, const Range& visible, std::size_t cols, T scale,
                        T log_normaliser);

}  // namespace longshadow
