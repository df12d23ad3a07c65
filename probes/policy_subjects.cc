#include "probes/policy_subjects.h"

#include <algorithm>
#include <utility>

#include "engine/backend/cuda/cuda.h"
#include "engine/core/error.h"
#include "engine/policy/registry.h"

namespace longshadow {
namespace {

/// What leaves each layer and KV head, [L K].
std::vector<std::vector<Range>> evicted(const std::vector<KeptSlots>& kept,
                                        const CachePart& where) {
  std::vector<std::vector<Range>> by_head;
  for (std::size_t layer = 0; layer < kept.size(); ++layer) {
    std::vector<std::vector<Range>> removed = kept[layer].removed();
    for (std::size_t head = 0; head < removed.size(); ++head) {
      const bool leaves = where.layers[layer] && where.kv_heads[head];
      by_head.push_back(leaves ? std::move(removed[head]) : std::vector<Range>{});
    }
  }
  return by_head;
}

}  // namespace

Policies subjects_policies(const std::string& subjects, const PolicyModel& model) {
  std::vector<std::string> texts;
  for (const PolicyCut& cut : policy_cuts(subjects)) texts.push_back(cut.policy);
  return make_policies(texts, 0, model);
}

template <class Device, class T>
PolicySubjects<Device, T>::PolicySubjects(Device& device, const Weights<T>& weights,
                                          std::span<const Subject> subjects,
                                          const SubjectRules& rules, std::size_t text_tokens)
    : rules_(rules) {
  std::vector<std::string> texts;
  for (const Subject& subject : subjects) {
    if (!subject.policy) continue;
    const auto known = std::find(texts.begin(), texts.end(), subject.policy->policy);
    choices_.push_back({static_cast<std::size_t>(known - texts.begin()), subject.policy->share});
    if (known == texts.end()) texts.push_back(subject.policy->policy);
  }
  if (texts.empty()) return;
  policies_ = make_policies(texts, rules.n_sinks, rules.policy_model);
  inputs_.emplace(device, weights, rules.context, text_tokens, traits_of(policies_));
}

template <class Device, class T>
LayerObserver<T>* PolicySubjects<Device, T>::observer() {
  return inputs_ ? &*inputs_ : nullptr;
}

template <class Device, class T>
void PolicySubjects<Device, T>::resolve(std::vector<Subject>& subjects, const FullPass<T>& full,
                                        const RunSignals& signals, const CachePart& where,
                                        ProgressStyle progress, std::ostream& log) {
  if (!inputs_) return;
  inputs_->set_entropy(signals.entropy_topk);
  Progress choosing(log, progress, "policies", "layers", full.cache.n_layers());
  const std::vector<std::vector<KeptSlots>> kept =
      choose_slots(policies_, std::span<const PolicyAtShare>(choices_), full, *inputs_, {},
                   rules_.seed, choosing);
  auto next = kept.begin();
  for (Subject& subject : subjects) {
    if (!subject.policy) continue;
    subject.by_head = evicted(*next++, where);
    std::vector<Range> anywhere;
    for (const auto& ranges : subject.by_head) {
      anywhere.insert(anywhere.end(), ranges.begin(), ranges.end());
    }
    subject.tokens = joined(std::move(anywhere));
    if (subject.tokens.empty()) {
      throw UsageError("--subjects \"" + subject.group +
                       "\": expected a policy that evicts a slot of " + "the context's " +
                       std::to_string(rules_.context) +
                       ", found that it keeps them all; take a smaller share, or other --layers " +
                       "and --heads");
    }
  }
}

template class PolicySubjects<Cpu, float>;
template class PolicySubjects<Cpu, double>;
template class PolicySubjects<Cuda, float>;
template class PolicySubjects<Cuda, double>;

}  // namespace longshadow
