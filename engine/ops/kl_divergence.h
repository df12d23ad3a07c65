#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/backend/devices.h"
#include "engine/backend/packed_weights.h"
#include "engine/core/matrix.h"
#include "engine/core/require.h"
#include "engine/ops/paired_rows.h"

namespace longshadow {

/// The full pass's predictive distributions.
template <class T>
struct FullPredictions {
  MatrixView<const T> hidden;               ///< [rows, D] after the final norm, padded by kRowTile
  std::span<const double> log_normalisers;  ///< [rows]
  std::span<const std::int32_t> likeliest;  ///< [rows]
};

/// The output matrix [V, D] as it is and packed for either product; V tiles alike.
template <class T, class P>
struct OutputWeights {
  MatrixView<const T> rows;
  const PackedWeights<T>& packed;
  const PackedWeights<P>& delta_packed;
};

/// KL(p_full || p_evicted) in nats for every row of every stream, from the change that an eviction
/// makes to the final hidden state; the vocabulary passes by in tiles.
///
/// With d = output delta the change of the logits and c = d - a for a constant a near E_p[d] (d at
/// the likeliest token), S = E_p[e^c - 1 - c] and r = E_p[c]: KL = log1p(S + r) - r. Nothing of the
/// size of a logit is subtracted, so the result is as exact as delta is.
///   output [V, D], its product with the full pass's hidden states in T and that with delta in P;
///   delta [rows, D] padded by kRowTile; kl_nats [rows], written at the streams' rows.
template <class T, class P>
void kl_divergence(Cpu& device, const OutputWeights<T, P>& output, const FullPredictions<T>& full,
                   MatrixView<const P> delta, std::span<const PairedRows> streams,
                   std::span<double> kl_nats);
template <class T, class P>
void kl_divergence(Cuda& device, const OutputWeights<T, P>& output, const FullPredictions<T>& full,
                   MatrixView<const P> delta, std::span<const PairedRows> streams,
                   std::span<double> kl_nats);

/// The sums over a part of the vocabulary that the divergence of a row is made of, with c and p as
/// above.
struct KlMoments {
  double mass = 0;       ///< of p
  double linear = 0;     ///< of p c
  double remainder = 0;  ///< of p (e^c - 1 - c)

  void operator+=(const KlMoments& other) {
    mass += other.mass;
    linear += other.linear;
    remainder += other.remainder;
  }
  double kl_nats() const {
    const double r = linear / mass;
    return std::log1p(remainder / mass + r) - r;
  }
};

/// Requires hidden states of `hidden_size` for all predictions, and the rows that tiles read
/// beyond.
template <class T>
void require_full_predictions(const char* operation, const FullPredictions<T>& full,
                              std::size_t hidden_size) {
  require_rows(operation, "full.hidden", full.hidden, full.log_normalisers.size() + kRowTile,
               hidden_size);
}

template <class T, class P>
void check_kl_divergence(const OutputWeights<T, P>& output, const FullPredictions<T>& full,
                         MatrixView<const P> delta, std::span<const PairedRows> streams,
                         std::span<double> kl_nats) {
  if constexpr (kContracts) {
    constexpr const char* kName = "kl_divergence";
    const std::size_t vocab_size = output.rows.rows, hidden_size = output.rows.cols;
    require_weights(kName, "output.packed", output.packed, vocab_size, hidden_size);
    require_weights(kName, "output.delta_packed", output.delta_packed, vocab_size, hidden_size);
    require_equal(kName, "output.delta_packed.n_tiles()", output.delta_packed.n_tiles(),
                  output.packed.n_tiles());
    require_full_predictions(kName, full, hidden_size);
    require_equal(kName, "full.likeliest.size()", full.likeliest.size(),
                  full.log_normalisers.size());
    require_below(kName, "full.likeliest", full.likeliest, vocab_size);
    require_rows(kName, "delta", delta, kRowTile, hidden_size);
    require_equal(kName, "kl_nats.size()", kl_nats.size(), delta.rows);
    require_at_least(kName, "streams.size()", streams.size(), 1);
    require_pairs(kName, streams, full.log_normalisers.size(), delta.rows - kRowTile);
  }
}

}  // namespace longshadow
