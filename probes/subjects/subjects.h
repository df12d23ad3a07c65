#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "data/format/run_file.h"
#include "engine/core/range.h"
#include "probes/documents/document.h"
#include "probes/subjects/eviction.h"
#include "probes/subjects/selection.h"

namespace longshadow {

/// Tokens of the context by their ranks.
struct RankedTokens {
  Ranking by;
  Range ranks;  ///< from 0, the first
};

/// The tokens that one counterfactual removes at once, and which part of the selection chose them.
struct Subject {
  std::vector<Range> tokens;  ///< sorted, disjoint; none as long as they are to be resolved
  std::string group;
  std::optional<RankedTokens> ranked{};
  std::optional<PolicyCut> policy{};
  /// [L K] where they differ between the cache's layers and KV heads, of which `tokens` is then the
  /// union; else empty.
  std::vector<std::vector<Range>> by_head{};
};

/// The smallest span that holds all the subject's tokens.
Range span_of(const Subject& subject);

/// Indices below `population`, drawn without replacement, sorted: the same everywhere for the same
/// state of `random`.
std::vector<std::size_t> draw(std::size_t count, std::size_t population, std::mt19937_64& random);

/// Rules by which subjects are chosen.
struct SubjectRules {
  std::size_t context;        ///< T: subjects are tokens below it
  std::size_t n_sinks = 4;    ///< first tokens that top:, each: and policy: spare
  std::size_t n_recent = 32;  ///< last tokens of the context that top: and each: spare
  EvictAt evict_at{};
  std::uint64_t seed = 0;  ///< of every random choice
};

/// Chooses the subjects of a document. Draws are without replacement, and a part of the selection
/// draws on where the one before it stopped. What is ranked waits for resolve_ranks(), which knows
/// the signals, and what a policy chooses for PolicySubjects. Throws UsageError where the selection
/// asks for what the document does not have, or, as only the context's end tells them, for the top
/// of a ranking or what a policy evicts where subjects leave before it.
std::vector<Subject> choose_subjects(const Selection& selection, const Document& document,
                                     const SubjectRules& rules);

/// Chooses the tokens of the subjects that are ranked; among equal values the earlier token comes
/// first. The signals are of at least the context.
void resolve_ranks(std::vector<Subject>& subjects, const RunSignals& signals,
                   const SubjectRules& rules);

}  // namespace longshadow
