#include "probes/learning/ridge.h"

#include <Eigen/Cholesky>
#include <cmath>
#include <limits>

#include "engine/core/error.h"

namespace longshadow {
namespace {

/// What is left of a sum of products of two columns around their means, in the mean over rows.
double covariance(const Moments& sample, std::size_t a, std::size_t b) {
  const std::size_t constant = sample.n_features();
  const double n = sample.rows();
  return sample.at(a, b) / n - sample.at(a, constant) / n * (sample.at(b, constant) / n);
}

/// 0 where the feature varies by no more than rounding of its sums.
double deviation(const Moments& sample, std::size_t feature) {
  const double square = sample.at(feature, feature) / sample.rows();
  const double variance = covariance(sample, feature, feature);
  constexpr double kRounding = 1e-12;
  return variance > kRounding * square ? std::sqrt(variance) : 0;
}

}  // namespace

Moments::Moments(std::size_t n_features)
    : n_features_(n_features), sums_((n_features + 2) * (n_features + 2)) {}

void Moments::add(MatrixView<const double> features, std::span<const double> targets) {
  const std::size_t size = n_features_ + 2;
  std::vector<double> row(size, 1);
  for (std::size_t j = 0; j < targets.size(); ++j) {
    if (std::isnan(targets[j])) continue;
    for (std::size_t f = 0; f < n_features_; ++f) row[f] = features.row(f)[j];
    row[n_features_ + 1] = targets[j];
    for (std::size_t a = 0; a < size; ++a) {
      for (std::size_t b = 0; b < size; ++b) sums_[a * size + b] += row[a] * row[b];
    }
  }
}

Moments& Moments::operator+=(const Moments& other) {
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
  return *this;
}

Moments& Moments::operator-=(const Moments& other) {
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] -= other.sums_[i];
  return *this;
}

std::vector<double> fit_ridge(const Moments& sample, double penalty) {
  if (!(sample.rows() > 0)) throw Error("a ranking cannot be learnt from no tokens");
  const std::size_t n_features = sample.n_features(), target = n_features + 1;
  const auto size = static_cast<Eigen::Index>(n_features);
  std::vector<double> scale(n_features);  // 1 / deviation
  for (std::size_t f = 0; f < n_features; ++f) {
    const double of_feature = deviation(sample, f);
    scale[f] = of_feature > 0 ? 1 / of_feature : 0;
  }
  Eigen::MatrixXd correlations(size, size);
  Eigen::VectorXd with_target(size);
  for (Eigen::Index a = 0; a < size; ++a) {
    for (Eigen::Index b = 0; b < size; ++b) {
      correlations(a, b) = covariance(sample, a, b) * scale[a] * scale[b] + (a == b ? penalty : 0);
    }
    if (scale[a] == 0) correlations(a, a) = 1;
    with_target(a) = covariance(sample, a, target) * scale[a];
  }
  const Eigen::VectorXd fitted = correlations.ldlt().solve(with_target);
  std::vector<double> weights(n_features + 1);
  const double n = sample.rows();
  weights[n_features] = sample.at(target, n_features) / n;
  for (std::size_t f = 0; f < n_features; ++f) {
    weights[f] = fitted(static_cast<Eigen::Index>(f)) * scale[f];
    weights[n_features] -= weights[f] * sample.at(f, n_features) / n;
  }
  return weights;
}

double unexplained_share(const Moments& sample, std::span<const double> weights) {
  const std::size_t n_features = sample.n_features(), target = n_features + 1;
  const double variance = covariance(sample, target, target);
  if (!(variance > 0)) return 0;
  double residual = variance;
  for (std::size_t a = 0; a < n_features; ++a) {
    residual -= 2 * weights[a] * covariance(sample, a, target);
    for (std::size_t b = 0; b < n_features; ++b) {
      residual += weights[a] * weights[b] * covariance(sample, a, b);
    }
  }
  return residual / variance;
}

double choose_penalty(std::span<const std::vector<Moments>> by_sample,
                      std::span<const double> choices) {
  std::vector<Moments> all = by_sample[0];
  for (std::size_t s = 1; s < by_sample.size(); ++s) {
    for (std::size_t head = 0; head < all.size(); ++head) all[head] += by_sample[s][head];
  }
  double best = choices[0], least = std::numeric_limits<double>::infinity();
  for (const double penalty : choices) {
    double unexplained = 0;
    for (const std::vector<Moments>& sample : by_sample) {
      for (std::size_t head = 0; head < all.size(); ++head) {
        Moments others = all[head];
        others -= sample[head];
        unexplained += unexplained_share(sample[head], fit_ridge(others, penalty));
      }
    }
    if (unexplained >= least) continue;
    least = unexplained;
    best = penalty;
  }
  return best;
}

}  // namespace longshadow
