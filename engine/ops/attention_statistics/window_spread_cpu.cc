#include <algorithm>
#include <cmath>

#include "engine/backend/parallel_for.h"
#include "engine/ops/attention_statistics/window_spread.h"
#include "engine/ops/common/dot.h"

namespace longshadow {
namespace {

/// weights [seen] = softmax of the query's scores of the first `seen` keys.
void attend(const ScoreForm& score, const float* query, MatrixView<const float> keys,
            std::size_t seen, std::vector<double>& weights) {
  weights.resize(seen);
  for (std::size_t j = 0; j < seen; ++j) {
    weights[j] = score.score(dot_in_f64(query, keys.row(j), keys.cols), keys.cols);
  }
  const double highest = *std::max_element(weights.begin(), weights.end());
  double total = 0;
  for (double& weight : weights) total += weight = std::exp(weight - highest);
  for (double& weight : weights) weight /= total;
}

/// The spread of one query head. Variances are summed as Welford does, from the distance to the
/// mean so far, so that those of steady weights keep their digits.
WindowSpread spread_of(const ScoreForm& score, MatrixView<const float> queries,
                       MatrixView<const float> keys, std::size_t n) {
  const std::size_t before = n - queries.rows;
  WindowSpread spread{std::vector<double>(before), std::vector<double>(before)};
  std::vector<double> weights;
  for (std::size_t i = 0; i < queries.rows; ++i) {
    attend(score, queries.row(i), keys, before + i + 1, weights);
    for (std::size_t j = 0; j < before; ++j) {
      const double p = weights[j];
      const double from_mean = p - spread.mean[j];
      spread.mean[j] += from_mean / static_cast<double>(i + 1);
      spread.variance[j] += from_mean * (p - spread.mean[j]);
      if (p > 0) spread.entropy -= p * std::log(p);
    }
  }
  for (double& variance : spread.variance) variance /= static_cast<double>(queries.rows - 1);
  return spread;
}

void add(std::vector<double>& sums, const std::vector<double>& more, double share) {
  for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += share * more[j];
}

}  // namespace

std::vector<WindowSpread> window_spread(const ScoreForm& score, HeadRows<const float> queries,
                                        HeadRows<const float> keys, std::size_t n) {
  check_window_spread(queries, keys, n);
  const std::size_t group = queries.n_heads / keys.n_heads;
  std::vector<WindowSpread> of_queries(queries.n_heads);
  parallel_for(queries.n_heads, [&](std::size_t head) {
    of_queries[head] = spread_of(score, queries.head(head), keys.head(head / group), n);
  });
  const std::size_t before = n - queries.rows;
  std::vector<WindowSpread> of_heads(keys.n_heads,
                                     {std::vector<double>(before), std::vector<double>(before)});
  for (std::size_t head = 0; head < queries.n_heads; ++head) {
    WindowSpread& sums = of_heads[head / group];
    add(sums.mean, of_queries[head].mean, 1 / static_cast<double>(group));
    add(sums.variance, of_queries[head].variance, 1 / static_cast<double>(group));
    sums.entropy += of_queries[head].entropy;
  }
  return of_heads;
}

}  // namespace longshadow
