#pragma once

#include <cstddef>

namespace longshadow {

/// One row of a tile of scores becomes softmax weights, given the log of the sum of exp(score
/// scale) over the whole row: e^(score scale - log_normaliser), and 0 from column `visible` on.
/// cols, visible or more, is a multiple of the lanes.
template <class T>
void to_softmax_weights(T* scores, std::size_t visible, std::size_t cols, T scale,
                        T log_normaliser);

}  // namespace longshadow
