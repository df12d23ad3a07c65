#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/format/run_file.h"
#include "engine/policy/policy.h"
#include "probes/document.h"

namespace longshadow {

/// The measured Forward Influence of a context's tokens on what follows: [T] nats each.
struct MeasuredInfluence {
  std::vector<double> near;   ///< mean over the first bin of positions
  std::vector<double> far;    ///< mean over the last bin
  std::vector<double> total;  ///< sum over all bins' positions

  /// Empty for Influence::none.
  std::span<const double> of(Influence influence) const;
};

/// That of `document`'s first `context` tokens where they leave at the context's end: exact where
/// the run measured a token by itself, and elsewhere its sketch, whose bins are then the bins.
/// Without a sketch, near and far are the first and the last quarter of the horizon. Throws
/// UsageError where the run has no such document or misses a token.
MeasuredInfluence influence_of(const RunFile& run, const Document& document, std::size_t context);

}  // namespace longshadow
