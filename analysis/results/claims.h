#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "analysis/statistics/samples.h"
#include "analysis/statistics/statistics.h"

namespace longshadow {

/// A claim about kinds of tokens or about distance, as a rank correlation that should be above 0.
struct ClaimReport {
  std::string claim;
  std::size_t n_documents = 0;  ///< with enough tokens or subjects to say
  std::size_t n_units = 0;      ///< tokens or subjects in them
  /// Mean over documents of the correlation within each; the interval over documents, from
  /// kFewestForInterval on.
  Estimate correlation;
  double p = 0;       ///< two-sided
  double p_holm = 0;  ///< corrected for all claims of the report
};

/// Where "near" and "far" influence is taken. Subjects that leave together, at the context's end,
/// share few bins of distance: theirs are MeasuredSubject's soon and late.
struct ClaimPlaces {
  bool after_start;
  NearAndFar bins;  ///< of distance, unless after_start
};

struct ClaimsReport {
  /// Documents are the units from kFewestToFlip on: their correlations' signs are flipped. Else
  /// tokens or subjects are shuffled within documents, which says nothing of other texts.
  bool flips_documents = false;
  ClaimPlaces where{};
  std::vector<ClaimReport> claims;
};

inline constexpr std::size_t kFewestToFlip = 6;  // of fewer no pattern has p below 0.05

/// Tests the claims of InfoKV (arXiv 2606.26875): content words are uncertain, uncertain tokens
/// matter far away, attended ones near, and what attention chose fades faster. Ranks are taken
/// within a document; of subjects, those of the population that reach near and far, and their
/// position is partialled out. `documents` are samples of one document each; `attention` is an
/// index of kSignals.
ClaimsReport test_claims(const std::vector<const Sample*>& documents, const ClaimPlaces& where,
                         std::size_t attention, const BootstrapOptions& options);

}  // namespace longshadow
