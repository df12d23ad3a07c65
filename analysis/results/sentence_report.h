#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "analysis/results/influence_report.h"
#include "analysis/statistics/measurements.h"
#include "analysis/statistics/samples.h"
#include "analysis/statistics/statistics.h"
#include "data/format/run_file.h"

namespace longshadow {

/// Sentences that are read after a removed one, by how many later they are.
struct LaterSentences {
  const char* name;
  DistanceBin bin;
};
inline constexpr std::array<LaterSentences, 3> kLaterSentences = {
    {{"next", {1, 2}}, {"2-4", {2, 5}}, {"further", {5, INT32_MAX}}}};

/// A sentence that was removed. Its influence on a later one is the mean over that one's positions.
struct InfluentialSentence {
  std::size_t number;  ///< of the text's, from 0
  std::int32_t begin;  ///< of its tokens
  std::int32_t end;
  std::string text;
  std::array<BinnedInfluence, kLaterSentences.size()> later;
  std::size_t most;   ///< the later sentence that it moves most
  double most_nats;   ///< mean over that one's positions
  double total_nats;  ///< sum over the horizon's positions
};

inline constexpr std::size_t kTopSentences = 10;

/// Influence of removed sentences on the later ones of a document, or of several pooled.
struct SentenceReport {
  std::string name;
  std::size_t n_sentences = 0;  ///< that were removed and measured
  /// How many sentences later, the next one 1: 1, 2, 3 to 4, 5 to 8, ..., as far as any is
  /// measured.
  std::vector<DistanceBin> bins;
  std::vector<GroupReport> groups;       ///< "all", and those with sinks apart, "sinks"
  std::vector<InfluentialSentence> top;  ///< of one document's "all": the highest totals, at most
                                         ///< kTopSentences
};

/// Makes a report for each document of which sentences are measured whole, and one for all where
/// there are several. The first n_sinks tokens are sinks.
std::vector<SentenceReport> report_sentences(const std::vector<DocumentRun>& documents,
                                             std::int64_t n_sinks,
                                             const BootstrapOptions& bootstrap);

}  // namespace longshadow
