#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "engine/model/weights.h"
#include "engine/policies/learned/ranking_file.h"
#include "probes/learning/learning_documents.h"

namespace longshadow {

/// What a learnt ranking looks at: all but the attention of all queries, which costs far more to
/// gather than the others together and is not there while text is written.
std::vector<HeadFeature> ranking_features();

/// A ranking by ridge regression, and how it came out.
struct LearnedRanking {
  Ranking ranking;
  double penalty;
  /// The share of the variance of log influence that the ranking leaves unexplained, in the mean
  /// over heads and documents: of documents that it was not learnt from, one after the other left
  /// out, or of its own where there is one alone.
  double unexplained;
};

/// Learns, for every layer and KV head, the linear function of the features that is nearest to the
/// log of a token's influence (its sum over the positions of all bins, 1e-12 nats at least), by
/// ridge regression over the documents' tokens but the first n_sinks, which no policy drops. The
/// penalty, one for all heads, is what explains each document best from the others; with one
/// document it is 0.01. Throws
/// Interrupted.
LearnedRanking learn_ranking(Device& device, const Weights& weights,
                             std::span<const LearningDocument> documents,
                             std::span<const HeadFeature> features, std::size_t n_sinks);

/// The features of a document's context, [L, K, F, T].
std::vector<double> document_features(Device& device, const Weights& weights,
                                      const LearningDocument& document,
                                      std::span<const HeadFeature> features);

}  // namespace longshadow
