#include "probes/compression/compressor.h"

#include <algorithm>
#include <utility>

#include "engine/backend/device.h"
#include "probes/compression/second_pass.h"
#include "probes/runs/interrupt.h"

namespace longshadow {
namespace {

std::vector<PolicyTraits> gathered(std::span<const Policy* const> policies, Gather gather) {
  std::vector<PolicyTraits> traits;
  for (const Policy* policy : policies) {
    const PolicyTraits& all = policy->traits();
    traits.push_back(
        gather == Gather::scores ? all : PolicyTraits{.entropy = all.entropy, .drift = all.drift});
  }
  return traits;
}

}  // namespace

FullPass prefill(Device& device, const Weights& weights, std::span<const TokenId> tokens,
                 std::size_t text_tokens, std::size_t predict_from, LayerObserver* observer) {
  FullPassOptions options;
  options.predict_from = predict_from;
  options.text_tokens = text_tokens;
  options.progress = [](std::size_t) { check_interrupt(); };
  const std::size_t n_observers = observer == nullptr ? 0 : 1;
  return run_full_pass(device, weights, tokens,
                       std::span<LayerObserver* const>(&observer, n_observers), options);
}

Compressor::Compressor(Device& device, const Weights& weights, std::vector<const Policy*> policies,
                       const ContextOfText& text, Gather gather)
    : device_(device),
      weights_(weights),
      policies_(std::move(policies)),
      text_(text),
      layers_(compressed_layers(weights.config, text.text_tokens)),
      inputs_(device, weights, text.context, text.text_tokens, gathered(policies_, gather)),
      replayed_(policies_.size()) {}

FullPass Compressor::prefill(std::span<const TokenId> tokens, std::size_t predict_from) {
  return longshadow::prefill(device_, weights_, tokens, text_.text_tokens, predict_from,
                             &observer());
}

void Compressor::compute_entropy(const EntropyHead& head, const FullPass& full, std::size_t k) {
  const bool is_needed = std::any_of(policies_.begin(), policies_.end(),
                                     [](const Policy* policy) { return policy->traits().entropy; });
  if (is_needed) set_entropy(head.entropies(device_, full, text_.context, k));
}

void Compressor::run_second_pass(std::size_t policy, const FullPass& full) {
  const Replayed wanted = policies_[policy]->traits().replayed;
  if (wanted == Replayed::nothing || !replayed_[policy].empty()) return;
  const std::vector<Replay> replays =
      policies_[policy]->second_pass(std::span(full.tokens).first(text_.context));
  replayed_[policy] =
      longshadow::run_second_pass(device_, weights_, full, text_.context, replays, wanted);
}

std::vector<std::vector<TokenScores>> Compressor::scores(const FullPass& full,
                                                         std::span<const std::size_t> indices,
                                                         const ScoringInputs& given) {
  for (const std::size_t index : indices) run_second_pass(index, full);
  std::vector<std::vector<TokenScores>> scores(indices.size());
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    const std::size_t layer = layers_[index];
    inputs_.show(full, layer);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      check_interrupt();
      const Policy& policy = *policies_[indices[i]];
      LayerView view = inputs_.view(policy.traits());
      if (given.influence != nullptr) {
        view.influence = given.influence->of(policy.traits(), view.place);
      }
      view.place = {index, layers_.size()};
      view.seed = given.seed;
      if (!replayed_[indices[i]].empty()) view.replayed = replayed_[indices[i]][layer].view();
      scores[i].push_back(protected_scores(policy, view));
    }
    given.progress(index + 1);
  }
  return scores;
}

std::vector<Compression> Compressor::compress(const FullPass& full,
                                              std::span<const PolicyAtShare> choices,
                                              const ScoringInputs& given) {
  std::vector<std::size_t> asked;  // each once
  std::vector<std::size_t> place;  // of each choice, in `asked`
  for (const PolicyAtShare& choice : choices) {
    const auto known = std::find(asked.begin(), asked.end(), choice.policy);
    place.push_back(static_cast<std::size_t>(known - asked.begin()));
    if (known == asked.end()) asked.push_back(choice.policy);
  }
  const auto by_policy = scores(full, asked, given);
  std::vector<Compression> compressions;
  for (std::size_t c = 0; c < choices.size(); ++c) {
    const Policy& policy = *policies_[choices[c].policy];
    Compression compression = keep_everything(weights_.config, text_);
    compression.rotates_keys = policy.traits().rotates_keys;
    std::vector<KeptSlots> kept = keep(policy, by_policy[place[c]], choices[c].share);
    for (std::size_t index = 0; index < layers_.size(); ++index) {
      compression.layers[layers_[index]] = std::move(kept[index]);
    }
    compressions.push_back(std::move(compression));
  }
  return compressions;
}

Compression keep_everything(const ModelConfig& config, const ContextOfText& text) {
  Compression compression;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    compression.layers.push_back(slots_seen_next(config, layer, text));
  }
  return compression;
}

}  // namespace longshadow
