#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/format/run_file.h"
#include "engine/policy/policy.h"
#include "probes/documents/document.h"

namespace longshadow {

/// The measured Forward Influence of a context's tokens on what follows, nats: [T] where they leave
/// everywhere, [L, K, T] where each leaves one KV head of one layer alone.
struct InfluenceMap {
  std::vector<double> near;   ///< mean over the first bin of positions
  std::vector<double> far;    ///< mean over the last bin
  std::vector<double> total;  ///< sum over all bins' positions
};

struct MeasuredInfluence {
  InfluenceMap by_token;
  InfluenceMap by_head;  ///< empty where the run has no map by head

  /// The influence that a policy of these traits looks at in one of L layers: [T], or [K, T] by
  /// head; empty where it looks at none.
  std::span<const double> of(const PolicyTraits& traits, const LayerPlace& place) const;
};

/// A document's map by layer and KV head, as its sketch has it. Throws UsageError that begins with
/// `where` if there is none.
InfluenceMap influence_by_head(const DocumentRun& run, const std::string& where);

/// That of `document`'s first `context` tokens where they leave at the context's end: exact where
/// the run measured a token by itself, and elsewhere its sketch, whose bins are then the bins.
/// Without a sketch, near and far are the first and the last quarter of the horizon. Throws
/// UsageError where the run has no such document or misses a token, or a policy looks at what
/// leaves one KV head and the run has no sketch by head.
MeasuredInfluence influence_of(const RunFile& run, const Document& document, std::size_t context,
                               std::span<const PolicyTraits> policies);

}  // namespace longshadow
