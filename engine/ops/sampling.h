#pragma once

#include <cstdint>
#include <random>
#include <span>

namespace longshadow {

/// How a token is chosen from its distribution.
struct SamplingOptions {
  /// Logits are divided by it; 0 takes the likeliest token.
  double temperature = 0;
  /// Only the fewest likeliest tokens whose probabilities sum to at least this much may be drawn
  /// (nucleus sampling: Holtzman et al. 2020, arXiv 1904.09751); 1: all.
  double top_p = 1;
};

/// The token whose share of [0, 1) holds `uniform`, where the likeliest has the first share, the
/// next likeliest the second and so on, the lower id first among equals. logits [V], not empty;
/// throws Error where one is not a number.
template <class T>
std::int32_t sample_token(std::span<const T> logits, const SamplingOptions& options,
                          double uniform);

/// The next of 2^53 equally spaced numbers in [0, 1).
inline double uniform_draw(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

}  // namespace longshadow
