#pragma once

#include <cstddef>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "engine/model/full_pass.h"
#include "probes/compression/compressor.h"
#include "probes/compression/policy_choice.h"
#include "probes/runs/progress.h"
#include "probes/subjects/eviction.h"
#include "probes/subjects/subjects.h"

namespace longshadow {

/// The policies that parts of a selection name, each once.
struct SelectedPolicies {
  std::vector<std::string> texts;
  Policies policies;  ///< made of the texts
};

/// Makes the policies of a selection for a model, each protecting at least `n_sinks` first tokens.
/// Throws as make_policy() does, and UsageError for a policy that can evict nothing of a context of
/// so many tokens, or not as a counterfactual does.
SelectedPolicies make_selected_policies(const Selection& selection, std::size_t context,
                                        std::size_t n_sinks, const PolicyModel& model);

/// SHA-256 of the files that the policies of a selection read, part by part: what a run's values
/// depend on.
std::vector<std::string> files_of(const Selection& selection, const SelectedPolicies& selected);

/// Finds what the policies that subjects name would evict.
class PolicySubjects {
 public:
  /// References must outlive it. `selected` has the subjects' policies; `text_tokens` are those of
  /// the full pass.
  PolicySubjects(Device& device, const Weights& weights, std::span<const Subject> subjects,
                 const SelectedPolicies& selected, const SubjectRules& rules,
                 std::size_t text_tokens);

  /// The observer of the full pass.
  LayerObserver& observer() { return compressor_.observer(); }

  /// After the pass, gives the subjects that name a policy what it evicts in the part `where` of
  /// the cache, telling progress on `log`. Throws UsageError where it evicts nothing there, and
  /// Interrupted.
  void resolve(std::vector<Subject>& subjects, const FullPass& full, const RunSignals& signals,
               const CachePart& where, ProgressStyle progress, std::ostream& log);

 private:
  const SubjectRules rules_;
  std::vector<PolicyAtShare> choices_;  ///< of the subjects that name one, in their order
  std::size_t n_layers_;                ///< that policies compress
  Compressor compressor_;
};

}  // namespace longshadow
