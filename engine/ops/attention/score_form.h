#pragma once

#include <cmath>
#include <cstddef>

namespace longshadow {

/// How a model makes scores of products q.k, for heads of size d: f q.k, or, where it caps them
/// (Gemma 2, arXiv 2408.00118), cap tanh(f q.k / cap).
struct ScoreForm {
  double scale = 0;  ///< f; 0: 1 / sqrt(d)
  double cap = 0;    ///< 0: none

  double factor(std::size_t d) const {
    return scale != 0 ? scale : 1.0 / std::sqrt(static_cast<double>(d));
  }
  double score(double product, std::size_t d) const {
    const double plain = product * factor(d);
    return cap != 0 ? cap * std::tanh(plain / cap) : plain;
  }
};

}  // namespace longshadow
