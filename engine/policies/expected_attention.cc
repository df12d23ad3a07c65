#include <algorithm>

#include "engine/policies/policies.h"
#include "engine/policy/future_queries.h"
#include "engine/policy/vectors.h"

namespace longshadow {
namespace {

struct Options {
  std::size_t n_future;
  bool covariance;
  bool value_norm;
  double epsilon;
};

/// The attention that queries to come would pay if they were normally distributed as the prompt's
/// are, times the norm of the value (Devoto et al. 2025, Expected Attention, arXiv 2510.00636).
/// Sinks take no part: neither their queries nor, in the softmax, their keys. Nor does a cap of the
/// scores, which have no closed form under it.
class ExpectedAttention final : public Policy {
 public:
  ExpectedAttention(const PolicyTraits& traits, const Options& options)
      : Policy(traits), options_(options) {}

  TokenScores scores(const LayerView& view) const override {
    const std::size_t d = view.keys.head_dim;
    const std::size_t n_sink = traits().n_sink, n_others = view.n - n_sink;
    const std::size_t group = view.queries.cols / d / view.keys.n_heads;
    const MeanRotation rotation(view.frequencies, view.n, options_.n_future);
    TokenScores scores(view.keys.n_heads, view.n);
    for (std::size_t head = 0; head < view.keys.n_heads * group; ++head) {
      const auto queries = view.queries.row_range(n_sink, n_others).column_range(head * d, d);
      FutureQueries future(queries, rotation);
      if (!options_.covariance) std::fill(future.covariance.begin(), future.covariance.end(), 0.0);
      const auto keys = view.keys.head(head / group).row_range(n_sink, n_others);
      std::vector<double> attention = future.log_expected_weights(keys, view.score.factor(d));
      softmax(attention);
      double* of_head = &scores.head(head / group)[n_sink];
      for (std::size_t j = 0; j < n_others; ++j) {
        of_head[j] += attention[j] / static_cast<double>(group);
      }
    }
    if (options_.value_norm) scale_by_values(view, scores);
    return scores;
  }

 private:
  void scale_by_values(const LayerView& view, TokenScores& scores) const {
    for (std::size_t head = 0; head < scores.n_kv_heads(); ++head) {
      for (std::size_t j = 0; j < view.n; ++j) {
        double& score = scores.head(head)[j];
        const float* value = view.values.head(head).row(j);
        score = (score + options_.epsilon) * norm2(value, view.values.head_dim);
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
