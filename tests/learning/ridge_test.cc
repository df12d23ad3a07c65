#include "probes/learning/ridge.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/support/error_of.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

constexpr std::size_t kFeatures = 4;

struct Sample {
  Matrix<double> features;
  std::vector<double> targets;

  Sample(Cpu& cpu, std::size_t n, unsigned seed)
      : features(test::random_matrix<double>(cpu, kFeatures, n, seed)), targets(n) {
    const Matrix<double> noise = test::random_matrix<double>(cpu, 1, n, seed + 100);
    for (std::size_t j = 0; j < n; ++j) {
      features.row(1)[j] = 3 * features.row(0)[j] + features.row(1)[j];  // correlated
      features.row(2)[j] = 50 + 10 * features.row(2)[j];
      features.row(3)[j] = 7;  // does not vary
      targets[j] = 2 * features.row(0)[j] - features.row(1)[j] + noise.data()[j] / 2 - 5;
    }
  }
  Moments moments() const {
    Moments sums(kFeatures);
    sums.add(features.view(), targets);
    return sums;
  }
};

/// mean (y - w . x - c)² + penalty |u|² at weights w, c: what the fit minimises, from the rows.
double objective(const Sample& sample, const std::vector<double>& weights, double penalty) {
  const std::size_t n = sample.targets.size();
  double total = 0;
  for (std::size_t j = 0; j < n; ++j) {
    double residual = sample.targets[j] - weights[kFeatures];
    for (std::size_t f = 0; f < kFeatures; ++f) residual -= weights[f] * sample.features.row(f)[j];
    total += residual * residual / double(n);
  }
  for (std::size_t f = 0; f < kFeatures; ++f) {
    double mean = 0, square = 0;
    for (std::size_t j = 0; j < n; ++j) mean += sample.features.row(f)[j] / double(n);
    for (std::size_t j = 0; j < n; ++j) {
      square += std::pow(sample.features.row(f)[j] - mean, 2) / double(n);
    }
    total += penalty * square * weights[f] * weights[f];
  }
  return total;
}

TEST_CASE("a ridge's weights are where its objective is least") {
  Cpu cpu(1);
  const Sample sample(cpu, 300, 1);
  for (const double penalty : {0.0, 0.1, 10.0}) {
    const std::vector<double> weights = fit_ridge(sample.moments(), penalty);
    REQUIRE(weights.size() == kFeatures + 1);
    CHECK(weights[3] == 0);
    const double least = objective(sample, weights, penalty);
    // A convex quadratic: at its least point a step of h either way costs the same, which no other
    // point has. The two differ by 2 h slope, here under 1e-8 of the values that are compared.
    for (std::size_t f = 0; f <= kFeatures; ++f) {
      CAPTURE(penalty, f);
      std::vector<double> up = weights, down = weights;
      up[f] += 0.01;
      down[f] -= 0.01;
      const double above = objective(sample, up, penalty) - least;
      const double below = objective(sample, down, penalty) - least;
      CHECK(above > 0);
      CHECK(std::abs(above - below) <= 1e-8 * (least + above));
    }
  }
  const std::vector<double> strong = fit_ridge(sample.moments(), 1e9);
  CHECK(std::abs(strong[0]) < 1e-6);
}

TEST_CASE("moments of two samples are those of their rows, less one those of the other") {
  Cpu cpu(1);
  const Sample a(cpu, 90, 1), b(cpu, 40, 2);
  Moments both = a.moments();
  both += b.moments();
  CHECK(both.rows() == 130);
  both -= b.moments();
  for (std::size_t i = 0; i < kFeatures + 2; ++i) {
    CHECK(both.at(i, 1) == Approx(a.moments().at(i, 1)));
  }
}

TEST_CASE("rows without a target are left out") {
  Cpu cpu(1);
  Sample sample(cpu, 50, 3);
  Moments first(kFeatures);
  first.add(sample.features.view(), std::span(sample.targets).first(49));
  sample.targets[49] = std::numeric_limits<double>::quiet_NaN();
  CHECK(sample.moments().rows() == 49);
  CHECK(sample.moments().at(0, 1) == first.at(0, 1));
}

TEST_CASE("the share unexplained is the residuals' variance, whatever their mean") {
  Cpu cpu(1);
  const Sample sample(cpu, 200, 4);
  std::vector<double> weights = fit_ridge(sample.moments(), 0);
  double mean = 0, square = 0, variance = 0;
  for (const double y : sample.targets) mean += y / 200;
  for (const double y : sample.targets) variance += (y - mean) * (y - mean) / 200;
  square = objective(sample, weights, 0);  // the least squares' residuals have a mean of 0
  CHECK(unexplained_share(sample.moments(), weights) == Approx(square / variance));
  weights[kFeatures] += 3;
  CHECK(unexplained_share(sample.moments(), weights) == Approx(square / variance));
}

TEST_CASE("the penalty chosen is the one that explains samples it has not seen") {
  Cpu cpu(1);
  std::vector<std::vector<Moments>> plain, noise;
  for (unsigned seed = 0; seed < 3; ++seed) {
    plain.push_back({Sample(cpu, 200, 10 + seed).moments()});
    Sample guess(cpu, 12, 20 + seed);  // few rows, and targets that have nothing to do with them
    const Matrix<double> random = test::random_matrix<double>(cpu, 1, 12, 70 + seed);
    guess.targets.assign(random.data(), random.data() + 12);
    noise.push_back({guess.moments()});
  }
  const std::vector<double> choices{1e-3, 1, 1e3};
  CHECK(choose_penalty(plain, choices) == 1e-3);
  CHECK(choose_penalty(noise, choices) == 1e3);
}

TEST_CASE("no rows are refused") {
  CHECK_THAT(test::error_of([] { fit_ridge(Moments(2), 1); }), Catch::Contains("no tokens"));
}

}  // namespace
}  // namespace longshadow
