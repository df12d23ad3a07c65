#include "probes/subjects/policy_subjects.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "engine/backend/device.h"
#include "engine/core/error.h"
#include "engine/policies/registry.h"

namespace longshadow {
namespace {

/// The slots that leave each layer and KV head, [L K]; none leaves a layer with a window.
std::vector<std::vector<Range>> evicted(const std::vector<KeptSlots>& kept,
                                        const CachePart& where) {
  std::vector<std::vector<Range>> by_head;
  for (std::size_t layer = 0; layer < kept.size(); ++layer) {
    std::vector<std::vector<Range>> removed = kept[layer].removed();
    const bool is_compressed = kept[layer].window == 0;
    for (std::size_t head = 0; head < removed.size(); ++head) {
      const bool leaves = is_compressed && where.layers[layer] && where.kv_heads[head];
      by_head.push_back(leaves ? std::move(removed[head]) : std::vector<Range>{});
    }
  }
  return by_head;
}

/// Throws UsageError.
void check_policy(const PolicyTraits& traits, std::size_t context) {
  check_prompt(traits, context);
  if (traits.influence != Influence::none) {
    throw UsageError(
        "what it keeps by is what this run measures; `longshadow retain --influence` takes it "
        "from an earlier run");
  }
  if (traits.rotates_keys) {
    throw UsageError(
        "it moves the keys that it keeps, which an eviction does not; `longshadow retain` "
        "measures it");
  }
}

std::size_t index_of(const std::string& text, const SelectedPolicies& selected) {
  const auto found = std::find(selected.texts.begin(), selected.texts.end(), text);
  return static_cast<std::size_t>(found - selected.texts.begin());
}

}  // namespace

SelectedPolicies make_selected_policies(const Selection& selection, std::size_t context,
                                        std::size_t n_sinks, const PolicyModel& model) {
  SelectedPolicies selected;
  for (const SelectionPart& part : selection.parts) {
    const auto* const cut = std::get_if<PolicyCut>(&part.what);
    if (cut == nullptr || index_of(cut->policy, selected) < selected.texts.size()) continue;
    try {
      std::unique_ptr<Policy> policy = make_policy(cut->policy, model);
      policy->protect_sinks(n_sinks);
      check_policy(policy->traits(), context);
      selected.texts.push_back(cut->policy);
      selected.policies.push_back(std::move(policy));
    } catch (const UsageError& error) {
      throw UsageError("`subjects` \"" + part.text + "\": " + error.what());
    }
  }
  return selected;
}

std::vector<std::string> files_of(const Selection& selection, const SelectedPolicies& selected) {
  std::vector<std::string> files;
  for (const SelectionPart& part : selection.parts) {
    const auto* const cut = std::get_if<PolicyCut>(&part.what);
    if (cut == nullptr) continue;
    const PolicyTraits& traits = selected.policies[index_of(cut->policy, selected)]->traits();
    files.insert(files.end(), traits.files_sha256.begin(), traits.files_sha256.end());
  }
  return files;
}

PolicySubjects::PolicySubjects(Device& device, const Weights& weights,
                               std::span<const Subject> subjects, const SelectedPolicies& selected,
                               const SubjectRules& rules, std::size_t text_tokens)
    : rules_(rules),
      n_layers_(compressed_shape(weights.config, text_tokens).n_layers),
      compressor_(device, weights, pointers_to(selected.policies), {rules.context, text_tokens}) {
  for (const Subject& subject : subjects) {
    if (!subject.policy) continue;
    choices_.push_back({index_of(subject.policy->policy, selected), subject.policy->share});
  }
}

void PolicySubjects::resolve(std::vector<Subject>& subjects, const FullPass& full,
                             const RunSignals& signals, const CachePart& where,
                             ProgressStyle progress, std::ostream& log) {
  compressor_.set_entropy(signals.entropy_topk);
  Progress choosing(log, progress, "policies", "layers", n_layers_);
  const std::vector<Compression> chosen = compressor_.compress(
      full, choices_, {nullptr, rules_.seed, [&](std::size_t layers) { choosing.update(layers); }});
  auto next = chosen.begin();
  for (Subject& subject : subjects) {
    if (!subject.policy) continue;
    subject.by_head = evicted((next++)->layers, where);
    std::vector<Range> anywhere;
    for (const auto& ranges : subject.by_head) {
      anywhere.insert(anywhere.end(), ranges.begin(), ranges.end());
    }
    subject.tokens = joined(std::move(anywhere));
    if (subject.tokens.empty()) {
      throw UsageError("`subjects` \"" + subject.group +
                       "\": expected a policy that evicts a slot of " + "the context's " +
                       std::to_string(rules_.context) +
                       ", found that it keeps them all; take a smaller share, or other `layers` " +
                       "and `heads`");
    }
  }
}

}  // namespace longshadow
