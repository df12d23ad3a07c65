#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "data/format/run_file.h"
#include "engine/core/range.h"
#include "engine/policy/policy_options.h"
#include "probes/document.h"
#include "probes/eviction.h"

namespace longshadow {

/// Tokens of the context by their rank in a signal.
struct RankedTokens {
  std::size_t signal;         ///< an index of kSignals
  Range ranks;                ///< from 0, the highest value
  bool lowest_first = false;  ///< rank 0 is the lowest value instead
};

/// What `longshadow retain` would evict by a policy, as make_policy() reads it.
struct PolicyCut {
  std::string policy;
  double share;  ///< of the slots that stay
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

/// What subjects are chosen from, and how.
struct SubjectRules {
  std::size_t context;        ///< T: subjects are tokens below it
  std::size_t n_sinks = 4;    ///< first tokens that top:, each: and policy: spare
  std::size_t n_recent = 32;  ///< last tokens of the context that top: and each: spare
  EvictAt evict_at{};
  std::uint64_t seed = 0;      ///< of every random choice
  PolicyModel policy_model{};  ///< that files of policies must fit
};

/// Reads `--subjects`, one or several of these joined with "+":
///   all             every token, one at a time
///   sample:N        N tokens, one at a time, in order of position
///   list:3,7-9      token 3, and tokens 7, 8 and 9 together
///   set:3,7-9       tokens 3, 7, 8 and 9 together
///   word:N          N words of the text, the tokens of each together, in order of position
///   sentence:all    every sentence that lies whole in the context, the tokens of each together
///   sentence:N      N of these, in order of position
///   top:SIGNAL:5%   5% of the context's tokens together: those with the highest value of one of
///                   kSignals, or drawn (random); with --evict-at end alone, because the ranking is
///                   known when the context ends
///   each:SIGNAL:N   N tokens, one at a time: those with the highest value of the signal, or drawn
///                   (random)
///   policy:P@B      all slots together that eviction policy P evicts where it keeps the share B of
///                   the context's, by layer and KV head; with --evict-at end alone
/// A minus before SIGNAL takes the lowest values instead.
/// Draws are without replacement, and a selection draws on where the one before it stopped. What
/// is ranked waits for resolve_ranks(), which knows the signals, and what a policy chooses for
/// PolicySubjects. Throws UsageError where the text
/// is none of these or asks for what the document does not have.
std::vector<Subject> parse_subjects(const std::string& text, const Document& document,
                                    const SubjectRules& rules);

/// The policies that `--subjects` names. Throws UsageError as parse_subjects() does.
std::vector<PolicyCut> policy_cuts(const std::string& text);

/// Chooses the tokens of the subjects that are ranked; among equal values the earlier token comes
/// first. The signals are of at least the context.
void resolve_ranks(std::vector<Subject>& subjects, const RunSignals& signals,
                   const SubjectRules& rules);

}  // namespace longshadow
