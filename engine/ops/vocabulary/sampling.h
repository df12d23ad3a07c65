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
/// next likeliest the second and so on, the lower id first among equals. A token whose logit is
/// minus infinity has no share. logits [V], not empty; throws Error where one is not a number.
///
/// Shares are sums in f64 of e^((logit - largest) / temperature) in that order, to the bit; but
/// the vocabulary is sorted only where their rounding decides, about once in some 10^4 draws.
template <class T>
std::int32_t sample_token(std::span<const T> logits, const SamplingOptions& options,
                          double uniform);

/// Makes tokens that the text has already less likely (Keskar et al. 2019, arXiv 1909.05858): a
/// logit above 0 is divided by `penalty`, one below 0 is multiplied by it, as transformers'
/// RepetitionPenaltyLogitsProcessor does. Logits [V]; ids of [0, V), each once; the penalty is
/// above 0, and more than 1 makes repetitions less likely.
template <class T>
void penalize_repetition(std::span<T> logits, std::span<const std::int32_t> ids, double penalty);

/// The next of 2^53 equally spaced numbers in [0, 1).
inline double uniform_draw(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

}  // namespace longshadow
