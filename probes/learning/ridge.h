#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/core/matrix.h"

namespace longshadow {

/// What a linear regression needs of a sample: the sums of products of its features, a constant 1
/// behind them and its targets. Sums of several samples are those of all of their rows.
class Moments {
 public:
  /// Of no rows, for F features.
  explicit Moments(std::size_t n_features);

  /// Adds rows: features [F, n], targets [n]; those whose target is NaN are left out.
  void add(MatrixView<const double> features, std::span<const double> targets);
  Moments& operator+=(const Moments& other);
  Moments& operator-=(const Moments& other);

  std::size_t n_features() const { return n_features_; }
  double rows() const { return at(n_features_, n_features_); }
  /// The sum of columns a times b: features, then the constant at F and the target at F + 1.
  double at(std::size_t a, std::size_t b) const { return sums_[a * (n_features_ + 2) + b]; }

 private:
  std::size_t n_features_;
  std::vector<double> sums_;  ///< [F + 2, F + 2]
};

/// Ridge regression in closed form: [F + 1] weights w and a constant behind them which minimise the
/// mean over rows of (target - w . x - constant)² plus penalty |u|², where u are the weights of the
/// features divided by their standard deviations. A feature that does not vary has weight 0. Throws
/// Error where there are no rows.
std::vector<double> fit_ridge(const Moments& sample, double penalty);

/// The variance of the sample's residuals, over that of its targets: a fit's shift between samples,
/// which changes no ranking, counts for nothing. 0 where the targets do not vary.
double unexplained_share(const Moments& sample, std::span<const double> weights);

/// The penalty, one of `choices`, at which samples are best explained by fits to all the others,
/// in the mean over samples and heads: by_sample [samples][heads], two samples or more.
double choose_penalty(std::span<const std::vector<Moments>> by_sample,
                      std::span<const double> choices);

}  // namespace longshadow
