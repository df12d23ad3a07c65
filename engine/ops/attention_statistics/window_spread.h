#pragma once

#include <cstddef>
#include <vector>

#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/attention/score_form.h"
#include "engine/ops/projection/heads.h"

namespace longshadow {

/// How a text's last queries, its window, spread their attention over the tokens before it, for one
/// KV head. Query i gives token j the softmax weight p_ij, over all tokens up to its own.
struct WindowSpread {
  /// [n - window] of p_ij, over the window's queries; mean over the KV head's query heads.
  std::vector<double> mean;
  /// [n - window] of p_ij, over the window's queries, with window - 1 in the denominator; mean over
  /// the KV head's query heads.
  std::vector<double> variance;
  double entropy = 0;  ///< nats: sum of -p_ij log p_ij, over tokens, queries and query heads
};

/// The spread for every KV head, on the host, in f64. queries, H heads of `window` rows, those of
/// the last tokens, rotated, 2 <= window < n; keys, K heads of n rows or more. The work is shared
/// among the threads of the caller's task arena by query head: the bits are the same for any
/// number.
std::vector<WindowSpread> window_spread(const ScoreForm& score, HeadRows<const float> queries,
                                        HeadRows<const float> keys, std::size_t n);

inline void check_window_spread(HeadRows<const float> queries, HeadRows<const float> keys,
                                std::size_t n) {
  constexpr const char* kName = "window_spread";
  require_at_least(kName, "keys.n_heads", keys.n_heads, 1);
  require_multiple(kName, "queries.n_heads", queries.n_heads, keys.n_heads);
  require_at_least(kName, "the window", queries.rows, 2);
  require_at_least(kName, "n", n, queries.rows + 1);
  require_heads(kName, "queries", queries, queries.n_heads, 2, keys.head_dim);
  require_heads(kName, "keys", keys, keys.n_heads, n, keys.head_dim);
}

}  // namespace longshadow
