#pragma once

#include <cstddef>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/model/full_pass.h"
#include "probes/eviction.h"
#include "probes/policy_choice.h"
#include "probes/policy_inputs.h"
#include "probes/progress.h"
#include "probes/subjects.h"

namespace longshadow {

/// The policies that `--subjects` names, in their order. Throws as parse_subjects() does, and as
/// make_policy().
Policies subjects_policies(const std::string& subjects, const PolicyModel& model);

/// Finds what the policies that subjects name would evict.
template <class Device, class T>
class PolicySubjects {
 public:
  /// References must outlive it. `text_tokens` are those of the full pass.
  PolicySubjects(Device& device, const Weights<T>& weights, std::span<const Subject> subjects,
                 const SubjectRules& rules, std::size_t text_tokens);

  /// Of the full pass; null where no subject names a policy.
  LayerObserver<T>* observer();

  /// After the pass, gives the subjects that name a policy what it evicts in the part `where` of
  /// the cache, telling progress on `log`. Throws UsageError where it evicts nothing there, and
  /// Interrupted.
  void resolve(std::vector<Subject>& subjects, const FullPass<T>& full, const RunSignals& signals,
               const CachePart& where, ProgressStyle progress, std::ostream& log);

 private:
  const SubjectRules rules_;
  Policies policies_;                   ///< that subjects name, each once
  std::vector<PolicyAtShare> choices_;  ///< of the subjects that name one, in their order
  std::optional<PolicyInputs<Device, T>> inputs_;
};

}  // namespace longshadow
