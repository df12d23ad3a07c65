#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "data/format/run_file.h"

namespace longshadow {

/// One number a token, to rank tokens by; data/FORMAT.md defines the arrays they come from.
struct Signal {
  const char* name;
  const char* meaning;
};
inline constexpr std::array<Signal, 6> kSignals = {{
    {"entropy-before", "entropy of the distribution that predicted the token"},
    {"entropy-at", "entropy of the distribution that the token predicts"},
    {"surprisal", "-log of the probability that the token was given"},
    {"drift", "1 - cosine to the last residual, mean over layers"},
    {"attention-window", "attention from the context's last queries, mean over layers and heads"},
    {"attention-cumulative", "attention from all later queries, mean over layers and heads"},
}};
inline constexpr std::size_t kEntropyBefore = 0;
inline constexpr std::size_t kEntropyAt = 1;
inline constexpr std::size_t kDrift = 3;
inline constexpr std::size_t kAttentionWindow = 4;
inline constexpr std::size_t kAttentionCumulative = 5;

/// [n] for each of kSignals; NaN for a token that has none.
std::array<std::vector<double>, kSignals.size()> token_signals(const RunSignals& signals);

}  // namespace longshadow
