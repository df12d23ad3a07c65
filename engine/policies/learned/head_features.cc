#include "engine/policies/learned/head_features.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/backend/cpu.h"
#include "engine/backend/parallel_for.h"
#include "engine/backend/tile_product.h"
#include "engine/ops/attention_statistics/window_statistics.h"
#include "engine/ops/common/dot.h"
#include "engine/policy/vectors.h"

namespace longshadow {
namespace {

constexpr std::size_t kWindow = 64, kLatest = 16;
/// Tokens that a task takes.
constexpr std::size_t kBlock = 512;

constexpr double kLeastWeight = 1e-8, kLeastRemoval = 1e-12, kLeastNorm = 1e-6;

constexpr std::array<std::string_view, kHeadFeatures> kNames{
    "window_mean", "window_largest", "window_latest", "removal",         "key_norm",  "value_norm",
    "output_norm", "key_cosine",     "distance",      "distance_square", "cumulative"};

constexpr bool is_of_window(HeadFeature feature) { return feature <= HeadFeature::removal; }

/// [d] the mean of n keys.
std::vector<double> mean_key(MatrixView<const float> keys, std::size_t n) {
  std::vector<double> mean(keys.cols);
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = 0; i < keys.cols; ++i) mean[i] += keys.row(j)[i];
  }
  for (double& x : mean) x /= static_cast<double>(n);
  return mean;
}

/// A KV head's tokens [first, first + count), and where its features go.
class Block {
 public:
  Block(const LayerView& view, std::size_t head, const WindowStatistics* window,
        std::span<const double> mean_key, std::size_t first, std::size_t count)
      : view_(view),
        head_(head),
        window_(window),
        mean_key_(mean_key),
        first_(first),
        count_(count) {}

  void fill(HeadFeature feature, double* to) const {
    switch (feature) {
      case HeadFeature::window_mean:
        return logs(window_->mean.data(), kLeastWeight, to);
      case HeadFeature::window_largest:
        return logs(window_->largest.data(), kLeastWeight, to);
      case HeadFeature::window_latest:
        return logs(window_->latest.data(), kLeastWeight, to);
      case HeadFeature::removal:
        return logs(window_->removal.data(), kLeastRemoval, to);
      case HeadFeature::key_norm:
        return norms(view_.keys.head(head_), to);
      case HeadFeature::value_norm:
        return norms(view_.values.head(head_), to);
      case HeadFeature::output_norm:
        return output_norms(to);
      case HeadFeature::key_cosine:
        return cosines(to);
      case HeadFeature::distance:
        return each(to, [&](std::size_t j) { return log_distance(j); });
      case HeadFeature::distance_square:
        return each(to, [&](std::size_t j) { return log_distance(j) * log_distance(j); });
      case HeadFeature::cumulative:
        return each(to, [&](std::size_t j) {
          const auto see = static_cast<double>(view_.n - j);
          return std::log(view_.attention.row(head_)[j] / see + kLeastWeight);
        });
    }
  }

 private:
  /// to[j] = value(j) for the block's tokens; `to` is the whole head's.
  template <class Value>
  void each(double* to, const Value& value) const {
    for (std::size_t j = first_; j < first_ + count_; ++j) to[j] = value(j);
  }
  void logs(const double* values, double least, double* to) const {
    each(to, [&](std::size_t j) { return std::log(values[j] + least); });
  }
  void norms(MatrixView<const float> rows, double* to) const {
    each(to, [&](std::size_t j) {
      return std::log(std::sqrt(dot_in_f64(rows.row(j), rows.row(j), rows.cols)) + kLeastNorm);
    });
  }
  double log_distance(std::size_t j) const { return std::log(static_cast<double>(view_.n - j)); }
  void output_norms(double* to) const {
    const MatrixView<const float> values = view_.values.head(head_);
    const std::size_t d = values.cols;
    Matrix<float> rows(host_memory(), kBlock, d), products(host_memory(), kBlock, d);
    std::copy_n(values.row(first_), count_ * d, rows.data());
    tile_product<float, float>(std::as_const(rows).view(), view_.output_gram.head(head_),
                               RightFactor::by_output, products.view(), false);
    each(to, [&](std::size_t j) {
      const double square = dot_in_f64(rows.row(j - first_), products.row(j - first_), d);
      return std::log(std::sqrt(std::isnan(square) ? square : std::max(square, 0.0)) + kLeastNorm);
    });
  }
  void cosines(double* to) const {
    const MatrixView<const float> keys = view_.keys.head(head_);
    const double mean_square = dot_in_f64(mean_key_.data(), mean_key_.data(), keys.cols);
    each(to, [&](std::size_t j) {
      const double square = dot_in_f64(keys.row(j), keys.row(j), keys.cols) * mean_square;
      return square == 0 ? 0
                         : dot_in_f64(keys.row(j), mean_key_.data(), keys.cols) / std::sqrt(square);
    });
  }

  const LayerView& view_;
  std::size_t head_;
  const WindowStatistics* window_;
  std::span<const double> mean_key_;
  std::size_t first_, count_;
};

}  // namespace

std::string_view name_of(HeadFeature feature) { return kNames[static_cast<std::size_t>(feature)]; }

std::optional<HeadFeature> head_feature(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return {};
  return static_cast<HeadFeature>(found - kNames.begin());
}

PolicyTraits traits_for(std::span<const HeadFeature> features) {
  PolicyTraits traits;
  for (const HeadFeature feature : features) {
    if (is_of_window(feature)) traits.window_queries = kWindow;
    if (feature == HeadFeature::cumulative) traits.attention_queries = kAllQueries;
    if (feature == HeadFeature::output_norm) traits.output_gram = OutputGram::of_kv_heads;
  }
  return traits;
}

std::vector<Matrix<double>> head_features(const LayerView& view,
                                          std::span<const HeadFeature> features) {
  const std::size_t n_heads = view.keys.n_heads;
  std::vector<WindowStatistics> windows;
  if (traits_for(features).window_queries != 0) {
    windows = window_statistics(view.score, view.window_queries, view.keys, view.values, view.n,
                                std::min(kLatest, view.window_queries.rows));
  }
  std::vector<std::vector<double>> mean_keys(n_heads);
  parallel_for(n_heads,
               [&](std::size_t head) { mean_keys[head] = mean_key(view.keys.head(head), view.n); });
  std::vector<Matrix<double>> by_head;
  for (std::size_t head = 0; head < n_heads; ++head) {
    by_head.emplace_back(host_memory(), features.size(), view.n);
  }
  const std::size_t n_blocks = (view.n + kBlock - 1) / kBlock;
  parallel_for(n_heads * n_blocks, [&](std::size_t task) {
    const std::size_t head = task / n_blocks, first = task % n_blocks * kBlock;
    const Block block(view, head, windows.empty() ? nullptr : &windows[head], mean_keys[head],
                      first, std::min(kBlock, view.n - first));
    for (std::size_t f = 0; f < features.size(); ++f) {
      block.fill(features[f], by_head[head].row(f));
    }
  });
  return by_head;
}

}  // namespace longshadow
