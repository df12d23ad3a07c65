#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <span>
#include <vector>

#include "engine/core/activation.h"
#include "engine/core/matrix.h"
#include "tests/support/larger.h"

/// The ops once more, as their formulas read and in double: what the fast ones are held to. Each
/// also gives the magnitudes that the bounds on rounding errors are made of.
///
/// The bound used throughout (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1):
/// a sum of k products in any order is off by at most k u sum |a b|, u = unit_roundoff<T>.
namespace longshadow::twin {

template <class T>
inline constexpr double unit_roundoff = std::numeric_limits<T>::epsilon() / 2.0;

using Row = std::vector<double>;
using Rows = std::vector<Row>;

template <class T>
Row row(const T* values, std::size_t size) {
  return {values, values + size};
}
template <class T>
Row row(std::span<const T> values) {
  return row(values.data(), values.size());
}

template <class T>
Rows rows(MatrixView<T> matrix) {
  Rows copy;
  for (std::size_t r = 0; r < matrix.rows; ++r) copy.push_back(row(matrix.row(r), matrix.cols));
  return copy;
}

inline double dot(const Row& a, const Row& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
  return total;
}

/// sum |a b|
inline double magnitude(const Row& a, const Row& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += std::abs(a[i] * b[i]);
  return total;
}

inline Row rms_norm(const Row& x, const Row& w, double epsilon) {
  const double inverse = 1 / std::sqrt(dot(x, x) / static_cast<double>(x.size()) + epsilon);
  Row y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = w[i] * x[i] * inverse;
  return y;
}

/// Element i is rotated with element i + d / 2, by position * frequencies[i].
inline Row rotate(const Row& x, const Row& frequencies, std::size_t position) {
  const std::size_t half = frequencies.size();
  Row y(x.size());
  for (std::size_t i = 0; i < half; ++i) {
    const double angle = static_cast<double>(position) * frequencies[i];
    y[i] = x[i] * std::cos(angle) - x[i + half] * std::sin(angle);
    y[i + half] = x[i + half] * std::cos(angle) + x[i] * std::sin(angle);
  }
  return y;
}

inline double silu(double x) { return x / (1 + std::exp(-x)); }

/// By its definition, which has no digits left far below 0.
inline double gelu_tanh(double x) {
  const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return x * (1 + std::tanh(inner)) / 2;
}

inline long double logistic(long double z) { return 1 / (1 + std::exp(-z)); }

/// z of g, an activation being g sigma(z), and z's derivative.
inline long double gate_exponent(Activation kind, long double g) {
  if (kind == Activation::silu) return g;
  return 2 * std::sqrt(2 / std::numbers::pi_v<long double>) * (g + 0.044715L * g * g * g);
}
inline long double gate_exponent_slope(Activation kind, long double g) {
  if (kind == Activation::silu) return 1;
  return 2 * std::sqrt(2 / std::numbers::pi_v<long double>) * (1 + 3 * 0.044715L * g * g);
}

inline double activation(Activation kind, double g) {
  return static_cast<double>(g * logistic(gate_exponent(kind, g)));
}

/// One query's softmax over the keys it sees.
struct Attention {
  Row weights;                 ///< of each key
  Row out;                     ///< sum of weight * value
  Row out_magnitude;           ///< sum of weight * |value|
  double log_normaliser;       ///< log of the sum of exp(score)
  double score_magnitude = 0;  ///< the largest sum |q k| times the score's factor
};

/// f q.k, f being 1 / sqrt(d) where it is 0, or, where there is a cap, cap tanh(f q.k / cap).
struct ScoreForm {
  double scale = 0;
  double cap = 0;

  double factor(std::size_t d) const {
    return scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(d));
  }
  double score(const Row& query, const Row& key) const {
    const double plain = dot(query, key) * factor(query.size());
    return cap != 0 ? cap * std::tanh(plain / cap) : plain;
  }
};

inline Attention attend(const Row& query, const Rows& keys, const Rows& values,
                        const ScoreForm& form = {}) {
  const double scale = form.factor(query.size());
  Attention result;
  double sum = 0;
  for (const Row& key : keys) {
    result.weights.push_back(std::exp(form.score(query, key)));
    result.score_magnitude = test::larger(result.score_magnitude, magnitude(query, key) * scale);
    sum += result.weights.back();
  }
  result.log_normaliser = std::log(sum);
  result.out.resize(query.size());
  result.out_magnitude.resize(query.size());
  for (std::size_t j = 0; j < keys.size(); ++j) {
    result.weights[j] /= sum;
    for (std::size_t i = 0; i < query.size(); ++i) {
      result.out[i] += result.weights[j] * values[j][i];
      result.out_magnitude[i] += result.weights[j] * std::abs(values[j][i]);
    }
  }
  return result;
}

/// softmax(logits), in long double.
inline std::vector<long double> softmax(const std::vector<long double>& logits) {
  const long double maximum = *std::max_element(logits.begin(), logits.end());
  std::vector<long double> p;
  long double sum = 0;
  for (const long double logit : logits) {
    p.push_back(std::exp(logit - maximum));
    sum += p.back();
  }
  for (long double& value : p) value /= sum;
  return p;
}

/// -sum p log p, of the k largest logits.
inline double entropy(std::vector<long double> logits, std::size_t k) {
  std::sort(logits.rbegin(), logits.rend());
  logits.resize(k);
  long double total = 0;
  for (const long double p : softmax(logits)) total -= p > 0 ? p * std::log(p) : 0;
  return static_cast<double>(total);
}

}  // namespace longshadow::twin
