#include <cmath>
#include <vector>

#include "engine/policy/policies.h"
#include "engine/policy/vectors.h"

namespace longshadow {
namespace {

struct Options {
  std::size_t n_future;
  bool covariance;
  bool value_norm;
  double epsilon;
};

/// Mean and covariance [d, d] of one head's queries.
struct QueryStatistics {
  std::vector<double> mean;
  std::vector<double> covariance;
};

/// Of rows [first, queries.rows), before rotation.
QueryStatistics statistics_of(MatrixView<const float> queries, std::size_t first) {
  const std::size_t d = queries.cols;
  const double count = static_cast<double>(queries.rows - first);
  QueryStatistics of{std::vector<double>(d), std::vector<double>(d * d)};
  for (std::size_t r = first; r < queries.rows; ++r) {
    for (std::size_t i = 0; i < d; ++i) of.mean[i] += queries.row(r)[i] / count;
  }
  std::vector<double> centred(d);
  for (std::size_t r = first; r < queries.rows; ++r) {
    for (std::size_t i = 0; i < d; ++i) centred[i] = queries.row(r)[i] - of.mean[i];
    for (std::size_t i = 0; i < d; ++i) {
      const double share = centred[i] / count;
      for (std::size_t k = 0; k < d; ++k) of.covariance[i * d + k] += share * centred[k];
    }
  }
  return of;
}

/// The mean over positions [first, first + count) of a rotary rotation: each pair (i, i + d / 2) is
/// turned and shrunk.
class MeanRotation {
 public:
  MeanRotation(std::span<const double> frequencies, std::size_t first, std::size_t count)
      : cos_(frequencies.size()), sin_(frequencies.size()) {
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      for (std::size_t position = first; position < first + count; ++position) {
        const double angle = static_cast<double>(position) * frequencies[i];
        cos_[i] += std::cos(angle) / static_cast<double>(count);
        sin_[i] += std::sin(angle) / static_cast<double>(count);
      }
    }
  }

  /// x = R x, of d elements `stride` apart.
  void apply(double* x, std::size_t stride) const {
    const std::size_t half = cos_.size();
    for (std::size_t i = 0; i < half; ++i) {
      double& a = x[i * stride];
      double& b = x[(i + half) * stride];
      const double turned = cos_[i] * a - sin_[i] * b;
      b = sin_[i] * a + cos_[i] * b;
      a = turned;
    }
  }

  /// mean = R mean, covariance = R covariance Rᵀ.
  void apply(QueryStatistics& of) const {
    const std::size_t d = of.mean.size();
    apply(of.mean.data(), 1);
    for (std::size_t i = 0; i < d; ++i) apply(&of.covariance[i], d);
    for (std::size_t i = 0; i < d; ++i) apply(&of.covariance[i * d], 1);
  }

 private:
  std::vector<double> cos_, sin_;
};

/// The attention that queries to come would pay if they were normally distributed as the prompt's
/// are, times the norm of the value (Devoto et al. 2025, Expected Attention, arXiv 2510.00636):
/// log E[exp(q k / sqrt(d))] = mean k / sqrt(d) + k covariance k / (2 d), rotated to the positions
/// to come, softmax over the tokens after the sinks.
class ExpectedAttention final : public Policy {
 public:
  ExpectedAttention(const PolicyTraits& traits, const Options& options)
      : Policy(traits), options_(options) {}

  TokenScores scores(const LayerView& view) const override {
    const std::size_t d = view.keys.head_dim;
    const std::size_t n_sink = traits().n_sink;
    const std::size_t group = view.queries.cols / d / view.keys.n_heads;
    const MeanRotation rotation(view.frequencies, view.n, options_.n_future);
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < view.keys.n_heads * group; ++head) {
      const MatrixView<const float> keys = view.keys.head(head / group).row_range(0, view.n);
      const MatrixView<const float> queries =
          view.queries.row_range(0, view.n).column_range(head * d, d);
      QueryStatistics of = statistics_of(queries, n_sink);
      rotation.apply(of);
      const std::vector<double> attention = expected(of, keys, n_sink);
      for (std::size_t j = n_sink; j < view.n; ++j) {
        scores.head(head / group)[j] += attention[j - n_sink] / static_cast<double>(group);
      }
    }
    if (options_.value_norm) scale_by_values(view, scores);
    return scores;
  }

 private:
  /// The softmax over keys [first, keys.rows).
  std::vector<double> expected(const QueryStatistics& of, MatrixView<const float> keys,
                               std::size_t first) const {
    const std::size_t d = keys.cols;
    const double scale = 1 / std::sqrt(static_cast<double>(d));
    std::vector<double> exponents(keys.rows - first);
    std::vector<double> product(d);  // of the covariance and a key
    for (std::size_t j = first; j < keys.rows; ++j) {
      const float* key = keys.row(j);
      product.assign(d, 0);
      for (std::size_t i = 0; options_.covariance && i < d; ++i) {
        for (std::size_t k = 0; k < d; ++k) product[k] += of.covariance[i * d + k] * key[i];
      }
      double mean = 0, variance = 0;
      for (std::size_t i = 0; i < d; ++i) {
        mean += of.mean[i] * key[i];
        variance += product[i] * key[i];
      }
      exponents[j - first] = mean * scale + variance * scale * scale / 2;
    }
    softmax(exponents);
    return exponents;
  }

  void scale_by_values(const LayerView& view, TokenScores& scores) const {
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (std::size_t j = 0; j < view.n; ++j) {
        double& score = scores.head(head)[j];
        score =
            (score + options_.epsilon) * norm2(view.values.head(head).row(j), view.values.head_dim);
      }
    }
  }

  Options options_;
};

}  // namespace

/// Options: n_future 512, the positions expected; n_sink 4; covariance and value_norm on or off;
/// epsilon 0, added to the attention before the norm.
std::unique_ptr<Policy> make_expected_attention(PolicyOptions& options) {
  static constexpr std::string_view kOnOff[] = {"on", "off"};
  const PolicyTraits traits{.n_sink = options.whole("n_sink", 4), .queries = true};
  const Options chosen{.n_future = options.whole("n_future", 512, 1),
                       .covariance = options.choice("covariance", kOnOff) == 0,
                       .value_norm = options.choice("value_norm", kOnOff) == 0,
                       .epsilon = options.real("epsilon", 0, 0)};
  return std::make_unique<ExpectedAttention>(traits, chosen);
}

}  // namespace longshadow
