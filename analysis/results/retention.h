#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/statistics/statistics.h"
#include "data/format/run_file.h"
#include "data/format/schema.h"

namespace longshadow {

/// Divergence over a part of the future's positions: each document's mean and median, nats,
/// averaged over documents. Intervals are over documents, which are drawn as wholes.
struct KlReport {
  Estimate mean;
  Estimate median;
};

/// The share of the slots of each kind of token that stay: [0, 1], NaN where there is no such
/// token.
struct KeptShares {
  std::array<double, schema::kUniversalTags.size()> by_tag;
  std::array<double, 4> by_entropy;  ///< quarters of each context, by entropy before, lowest first
  std::array<double, 4> by_drift;    ///< likewise, by drift averaged over layers
  std::array<double, 10> by_position;  ///< tenths of the context, oldest first
};

/// One policy at one budget, over the documents that have it.
struct RetentionArm {
  std::string policy;
  std::string budget;
  std::int64_t kv_bits = 0;
  std::size_t n_documents = 0;
  double bytes_share = 0;  ///< kept over full
  KlReport near;           ///< the first quarter of the future's positions
  KlReport far;            ///< the last quarter
  Estimate top1;           ///< share of the positions whose likeliest token stays, over documents
  Estimate perplexity_ratio;  ///< exp of the mean surprisal's rise; interval over documents
  KeptShares kept;
};

/// How much the sets of kept slots have in common, mean over documents.
struct RetentionOverlap {
  std::string budget;
  std::vector<std::string> policies;  ///< P
  std::vector<double> jaccard;        ///< [P, P]: slots that both keep over slots that either keeps
};

struct RetentionReport {
  std::string conditions;  ///< how it was measured, one line
  std::vector<RetentionArm> arms;
  std::vector<RetentionOverlap> overlaps;  ///< one for each budget
};

/// Reports on the run's documents that have a retention. Nothing where none has.
std::optional<RetentionReport> analyze_retention(const RunFile& run,
                                                 const BootstrapOptions& options);

}  // namespace longshadow
