#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "analysis/statistics/samples.h"
#include "analysis/statistics/statistics.h"

namespace longshadow {

/// The two readings of a token's entropy: of the distribution that predicted it, and of the one
/// that it predicts.
inline constexpr std::array<const char*, 2> kEntropyReadings = {"entropy-before", "entropy-at"};

/// Entropy of the tokens of one kind, nats.
struct EntropyRow {
  std::string name;  ///< a tag, content words or function words
  std::size_t n_tokens = 0;
  std::array<Estimate, kEntropyReadings.size()> mean;
  std::array<Estimate, kEntropyReadings.size()> median;
};

struct EntropyReport {
  std::vector<EntropyRow> rows;  ///< content words, function words, and the tags that occur
  /// Mean over content words less the mean over function words.
  std::array<Estimate, kEntropyReadings.size()> difference;
};

/// Reports the entropy of the sample's tokens in words. There are no rows where the document has no
/// parts of speech. Intervals are over documents, or over tokens where documents are too few; the
/// latter are somewhat narrow, since neighbouring tokens resemble each other.
EntropyReport report_entropy(const Sample& sample, const BootstrapOptions& options);

}  // namespace longshadow
