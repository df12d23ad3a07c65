#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/core/matrix.h"

namespace longshadow {

/// The mean over positions [first, first + count) of a rotary rotation: each pair (i, i + d / 2) is
/// turned and shrunk.
struct MeanRotation {
  std::vector<double> cos, sin;  ///< [d / 2]

  /// frequencies [d / 2], radians per position.
  MeanRotation(std::span<const double> frequencies, std::size_t first, std::size_t count);
};

/// One head's queries of tokens to come, as if normally distributed.
struct FutureQueries {
  std::vector<double> mean;        ///< [d]
  std::vector<double> covariance;  ///< [d, d]

  /// As the rows of queries [n, d], before rotation, are distributed (with the covariance divided
  /// by n), then rotated: R mean and R covariance Rᵀ.
  FutureQueries(MatrixView<const float> queries, const MeanRotation& rotation);

  /// log E[exp(f q k)] = f mean k + f² k covariance k / 2 for every row of keys [n, d], where
  /// scores are f q k.
  std::vector<double> log_expected_weights(MatrixView<const float> keys, double f) const;
};

}  // namespace longshadow
