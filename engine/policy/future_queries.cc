#include "engine/policy/future_queries.h"

#include <cmath>

namespace longshadow {
namespace {

/// x = R x, of d elements `stride` apart.
void rotate(const MeanRotation& by, double* x, std::size_t stride) {
  const std::size_t half = by.cos.size();
  for (std::size_t i = 0; i < half; ++i) {
    double& a = x[i * stride];
    double& b = x[(i + half) * stride];
    const double turned = by.cos[i] * a - by.sin[i] * b;
    b = by.sin[i] * a + by.cos[i] * b;
    a = turned;
  }
}

}  // namespace

MeanRotation::MeanRotation(std::span<const double> frequencies, std::size_t first,
                           std::size_t count)
    : cos(frequencies.size()), sin(frequencies.size()) {
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    for (std::size_t position = first; position < first + count; ++position) {
      const double angle = static_cast<double>(position) * frequencies[i];
      cos[i] += std::cos(angle) / static_cast<double>(count);
      sin[i] += std::sin(angle) / static_cast<double>(count);
    }
  }
}

FutureQueries::FutureQueries(MatrixView<const float> queries, const MeanRotation& rotation)
    : mean(queries.cols), covariance(queries.cols * queries.cols) {
  const std::size_t d = queries.cols;
  const auto count = static_cast<double>(queries.rows);
  for (std::size_t r = 0; r < queries.rows; ++r) {
    for (std::size_t i = 0; i < d; ++i) mean[i] += queries.row(r)[i] / count;
  }
  std::vector<double> centred(d);
  for (std::size_t r = 0; r < queries.rows; ++r) {
    for (std::size_t i = 0; i < d; ++i) centred[i] = queries.row(r)[i] - mean[i];
    for (std::size_t i = 0; i < d; ++i) {
      const double share = centred[i] / count;
      for (std::size_t k = 0; k < d; ++k) covariance[i * d + k] += share * centred[k];
    }
  }
  rotate(rotation, mean.data(), 1);
  for (std::size_t i = 0; i < d; ++i) rotate(rotation, &covariance[i], d);
  for (std::size_t i = 0; i < d; ++i) rotate(rotation, &covariance[i * d], 1);
}

std::vector<double> FutureQueries::log_expected_weights(MatrixView<const float> keys,
                                                        double f) const {
  const std::size_t d = keys.cols;
  std::vector<double> exponents(keys.rows);
  std::vector<double> product(d);  // of the covariance and a key
  for (std::size_t j = 0; j < keys.rows; ++j) {
    const float* key = keys.row(j);
    product.assign(d, 0);
    for (std::size_t i = 0; i < d; ++i) {
      for (std::size_t k = 0; k < d; ++k) product[k] += covariance[i * d + k] * key[i];
    }
    double first_order = 0, second_order = 0;
    for (std::size_t i = 0; i < d; ++i) {
      first_order += mean[i] * key[i];
      second_order += product[i] * key[i];
    }
    exponents[j] = first_order * f + second_order * f * f / 2;
  }
  return exponents;
}

}  // namespace longshadow
