#include "probes/learning/learn_ranking.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/backend/device.h"
#include "probes/learning/ridge.h"

namespace longshadow {
namespace {

/// nats
constexpr double kLeastInfluence = 1e-12;
constexpr std::array kPenalties{1e-4, 1e-3, 1e-2, 1e-1, 1.0};
constexpr double kPenaltyOfOne = 1e-2;

/// [T] of one head; NaN for sinks.
std::vector<double> targets_of(std::span<const double> influence, std::size_t n_sinks) {
  std::vector<double> targets(influence.size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t j = n_sinks; j < influence.size(); ++j) {
    targets[j] = std::log(std::max(influence[j], kLeastInfluence));
  }
  return targets;
}

/// [L K], of one document.
std::vector<Moments> moments_of(Device& device, const Weights& weights,
                                const LearningDocument& document,
                                std::span<const HeadFeature> features, std::size_t n_sinks) {
  std::vector<Moments> heads;
  const std::span<const double> influence = document.influence.total;
  show_layers(device, weights, document.run, traits_for(features), [&](const LayerView& view) {
    for (const Matrix<double>& head : head_features(view, features)) {
      const auto of_head = influence.subspan(heads.size() * view.n, view.n);
      heads.emplace_back(features.size()).add(head.view(), targets_of(of_head, n_sinks));
    }
  });
  return heads;
}

/// In the mean over heads and documents, each explained by the others; by itself where it is alone.
double unexplained_by_others(std::span<const std::vector<Moments>> by_document,
                             std::span<const Moments> sums, double penalty) {
  double total = 0;
  for (const std::vector<Moments>& document : by_document) {
    for (std::size_t head = 0; head < sums.size(); ++head) {
      Moments learnt_from = sums[head];
      if (by_document.size() > 1) learnt_from -= document[head];
      total += unexplained_share(document[head], fit_ridge(learnt_from, penalty));
    }
  }
  return total / static_cast<double>(by_document.size() * sums.size());
}

}  // namespace

std::vector<HeadFeature> ranking_features() {
  std::vector<HeadFeature> features;
  for (std::size_t f = 0; f < kHeadFeatures; ++f) {
    const auto feature = static_cast<HeadFeature>(f);
    if (feature != HeadFeature::cumulative) features.push_back(feature);
  }
  return features;
}

LearnedRanking learn_ranking(Device& device, const Weights& weights,
                             std::span<const LearningDocument> documents,
                             std::span<const HeadFeature> features, std::size_t n_sinks) {
  std::vector<std::vector<Moments>> by_document;
  for (const LearningDocument& document : documents) {
    by_document.push_back(moments_of(device, weights, document, features, n_sinks));
  }
  std::vector<Moments> sums = by_document[0];
  for (std::size_t i = 1; i < by_document.size(); ++i) {
    for (std::size_t head = 0; head < sums.size(); ++head) sums[head] += by_document[i][head];
  }
  const double penalty =
      by_document.size() > 1 ? choose_penalty(by_document, kPenalties) : kPenaltyOfOne;
  LearnedRanking learned{{}, penalty, unexplained_by_others(by_document, sums, penalty)};
  learned.ranking.n_layers = weights.config.n_layers;
  learned.ranking.n_kv_heads = weights.config.n_kv_heads;
  learned.ranking.features.assign(features.begin(), features.end());
  for (const Moments& head : sums) {
    const std::vector<double> of_head = fit_ridge(head, penalty);
    learned.ranking.weights.insert(learned.ranking.weights.end(), of_head.begin(), of_head.end());
  }
  return learned;
}

std::vector<double> document_features(Device& device, const Weights& weights,
                                      const LearningDocument& document,
                                      std::span<const HeadFeature> features) {
  std::vector<double> values;
  show_layers(device, weights, document.run, traits_for(features), [&](const LayerView& view) {
    for (const Matrix<double>& head : head_features(view, features)) {
      values.insert(values.end(), head.data(), head.data() + head.rows() * head.cols());
    }
  });
  return values;
}

}  // namespace longshadow
