#pragma once

#include <cstddef>
#include <vector>

#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/attention/score_form.h"
#include "engine/ops/projection/heads.h"

namespace longshadow {

/// The attention of a text's last queries, its window, to each of its n tokens, for one KV head.
/// Query i gives token j the softmax weight p_ij, over the tokens up to its own, and has the output
/// o_i = sum_j p_ij v_j; without token j the weights are renormalised and the output is
/// o_i + p_ij / (1 - p_ij) (o_i - v_j). Means are over the queries of the window that see a token
/// and then over the KV head's query heads.
struct WindowStatistics {
  std::vector<double> mean;    ///< [n] of p_ij
  std::vector<double> latest;  ///< [n] of p_ij, over the last n_latest queries; 0 where none sees j
  std::vector<double> largest;  ///< [n] the largest p_ij of any query and query head
  /// [n] mean of (p_ij / (1 - p_ij))² |v_j - o_i|², the square of what leaving the token out
  /// changes in the output. Where a query gives all of its weight to one token, |v_j|².
  std::vector<double> removal;
};

/// The statistics of every KV head, on the host. queries, H heads of `window` rows, those of the
/// last tokens, rotated; keys and values, K heads of n rows or more; n >= window >= n_latest >= 1.
/// Scores and weights are f32; sums over queries, heads and tiles f64. What a query attends to most
/// is set apart, so that 1 - p and v - o keep their digits where p is near 1. The work is shared
/// among the threads of the caller's task arena by query head: the bits are the same for any
/// number.
std::vector<WindowStatistics> window_statistics(const ScoreForm& score,
                                                HeadRows<const float> queries,
                                                HeadRows<const float> keys,
                                                HeadRows<const float> values, std::size_t n,
                                                std::size_t n_latest);

inline void check_window_statistics(HeadRows<const float> queries, HeadRows<const float> keys,
                                    HeadRows<const float> values, std::size_t n,
                                    std::size_t n_latest) {
  constexpr const char* kName = "window_statistics";
  require_at_least(kName, "keys.n_heads", keys.n_heads, 1);
  require_multiple(kName, "queries.n_heads", queries.n_heads, keys.n_heads);
  require_at_most(kName, "the window", queries.rows, n);
  require_at_least(kName, "n_latest", n_latest, 1);
  require_at_most(kName, "n_latest", n_latest, queries.rows);
  require_heads(kName, "queries", queries, queries.n_heads, 1, keys.head_dim);
  require_heads(kName, "keys", keys, keys.n_heads, n, keys.head_dim);
  require_heads(kName, "values", values, keys.n_heads, n, keys.head_dim);
}

}  // namespace longshadow
