#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/kv/compressed_cache.h"
#include "engine/model/full_pass.h"
#include "engine/policy/policy.h"
#include "probes/compression/policy_choice.h"
#include "probes/compression/windowed_layers.h"
#include "probes/gather/entropy_head.h"
#include "probes/gather/policy_inputs.h"
#include "probes/gather/token_signals.h"
#include "probes/influence/measured_influence.h"

namespace longshadow {

/// Runs the full pass over a context alone, which predicts nothing before `predict_from`.
/// `observer` may be null. Throws Interrupted.
FullPass prefill(Device& device, const Weights& weights, std::span<const TokenId> tokens,
                 std::size_t text_tokens, std::size_t predict_from, LayerObserver* observer);

/// The extent of what a prefill gathers for policies.
enum class Gather {
  scores,   ///< all that they score a context by
  signals,  ///< of that the entropy and the drift: the context stays whole, and cuts may follow
};

/// A policy and the share of the slots that it may keep.
struct PolicyAtShare {
  std::size_t policy;  ///< an index of the policies
  double share;        ///< in (0, 1]
};

/// Inputs of policies' scores that the full pass does not give.
struct ScoringInputs {
  const MeasuredInfluence* influence = nullptr;  ///< null: no policy looks at it
  std::uint64_t seed = 0;                        ///< of random choices
  /// Called after each compressed layer with the number of layers done.
  std::function<void(std::size_t)> progress = [](std::size_t) {};
};

/// Compresses a context's cache as policies choose. The methods are the steps, in their order: the
/// full pass (prefill(), or another one with observer()) gathers what the policies look at; the
/// policies score every token of every layer; the slots that stay are selected for all layers at
/// once. A CompressedCache or a GrowingCache is built from the resulting Compression.
class Compressor {
 public:
  /// Makes room for what the policies look at. References must outlive the compressor.
  Compressor(Device& device, const Weights& weights, std::vector<const Policy*> policies,
             const ContextOfText& text, Gather gather = Gather::scores);

  /// The observer of a full pass over the context, or over a text that begins with it.
  LayerObserver& observer() { return inputs_; }
  /// Runs the full pass over the context, or over a text that begins with it. Throws Interrupted.
  FullPass prefill(std::span<const TokenId> tokens, std::size_t predict_from);

  /// Takes the entropies of the context's tokens, nats, and of any behind them, where they are
  /// known already.
  void set_entropy(std::span<const float> entropy) { inputs_.set_entropy(entropy); }
  /// Computes the entropies of the context's tokens, each over the k likeliest next tokens, where a
  /// policy looks at them.
  void compute_entropy(const EntropyHead& head, const FullPass& full, std::size_t k);
  /// The signals of the context's tokens that the policies look at.
  TokenSignals signals() const { return inputs_.signals(); }

  /// Scores the context by the policies at these indices, [indices][compressed_layers()]. A
  /// policy's second pass runs
  /// when the policy first scores. Throws as protected_scores() and run_second_pass() do, and
  /// Interrupted.
  std::vector<std::vector<TokenScores>> scores(const FullPass& full,
                                               std::span<const std::size_t> indices,
                                               const ScoringInputs& given);
  /// Makes the compression of each choice, without quantization. Only the policies that the choices
  /// name are asked. Throws as scores() and keep() do.
  std::vector<Compression> compress(const FullPass& full, std::span<const PolicyAtShare> choices,
                                    const ScoringInputs& given);

 private:
  /// Runs the policy's second pass where it has one and has not run it yet.
  void run_second_pass(std::size_t policy, const FullPass& full);

  Device& device_;
  const Weights& weights_;
  std::vector<const Policy*> policies_;
  ContextOfText text_;
  std::vector<std::size_t> layers_;  ///< compressed_layers()
  PolicyInputs inputs_;
  /// By policy and layer, [H, T], what LayerView::replayed shows; empty: not run.
  std::vector<std::vector<Matrix<double>>> replayed_;
};

/// The compression that keeps all slots that the next token sees.
Compression keep_everything(const ModelConfig& config, const ContextOfText& text);

}  // namespace longshadow
