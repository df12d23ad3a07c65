#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/core/activation.h"

namespace longshadow {

struct Gguf;

enum class Architecture {
  llama,
  mistral,
  mixtral,
  qwen2,
  qwen3,
  qwen3_moe,
  olmo2,
  olmo3,
  smollm3,
  phi3,
  gemma2,
  gemma3
};

/// What an RMSNorm over queries and keys, between projection and RoPE, normalises together.
enum class QueryKeyNorm { none, head, projection };

/// The ways rotary frequencies are stretched for long contexts, by Hugging Face's names;
/// rotary_frequencies() has their formulas.
enum class RopeScaling { none, linear, dynamic, yarn, llama3, longrope };

struct RopeConfig {
  double theta = 10000.0;  ///< base of the frequencies
  /// Elements of each head that are rotated, the first ones; 0: all. Rows of queries and keys are
  /// then read in an order by which the rotated pairs are (i, i + d / 2) again, and the first.
  std::size_t rotated_elements = 0;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;  ///< positions are stretched by this much
  /// dynamic, yarn, llama3 and longrope: tokens the model was trained to read before it was
  /// stretched.
  std::size_t original_context = 8192;
  /// llama3 only.
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  /// llama3 only, [d / 2]: what each frequency is divided by, where the file stores the divisors (a
  /// GGUF file's rope_freqs.weight). Used instead of the four numbers above; empty otherwise.
  std::vector<double> frequency_divisors;
  /// longrope only, [rotated pairs]: what each frequency is divided by in texts of up to
  /// original_context tokens, and in longer ones.
  std::vector<double> short_divisors, long_divisors;
  /// yarn only: pairs that turn more often than beta_fast within the original context stay, those
  /// that turn less often than beta_slow are stretched; whether the band between them is widened to
  /// whole pairs.
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  bool truncate = true;
  /// Rotated queries and keys are longer by this (yarn, longrope), so scores larger by its square.
  double attention_factor = 1.0;
};

/// A layer's experts, of which every row of activations goes through a few (Shazeer et al. 2017,
/// arXiv 1701.06538). A router gives each expert a logit.
struct ExpertsConfig {
  std::size_t count = 0;   ///< E; 0: the model has none
  std::size_t chosen = 0;  ///< k, experts of the largest logits, which a row goes through
  std::size_t feed_forward_size = 0;  ///< of one expert
  /// The softmax that weighs what the chosen experts give is over their logits; else over all E.
  bool renormalised = true;
};

/// Everything about a decoder-only transformer that its weights do not say themselves.
/// Dimension letters, used throughout the engine:
///   L layers, D hidden size, H query heads, K key-value heads, G = H / K, d head size,
///   F feed-forward size, E experts, V vocabulary, n tokens.
struct ModelConfig {
  std::string name;  ///< empty where the file gives none
  Architecture architecture = Architecture::llama;
  std::size_t n_layers = 0;           // L
  std::size_t hidden_size = 0;        // D
  std::size_t n_heads = 0;            // H
  std::size_t n_kv_heads = 0;         // K
  std::size_t head_dim = 0;           // d
  std::size_t feed_forward_size = 0;  // F
  std::size_t vocab_size = 0;         // V
  std::size_t max_context = 0;        // tokens the model was made to read
  /// [L], the tokens that a layer's attention looks back over, the one that looks included; 0: all.
  /// Empty: no layer has a window.
  std::vector<std::size_t> windows;
  /// Scores are q.k times this; 0: 1 / sqrt(d).
  double attention_scale = 0;
  /// Scores s become cap tanh(s / cap) (Gemma 2); 0: they stay.
  double attention_score_cap = 0;
  double norm_epsilon = 1e-5;
  bool tied_embeddings = false;                      ///< the output matrix is the embedding matrix
  bool attention_bias = false;                       ///< biases on q, k and v (Qwen2)
  bool output_bias = false;                          ///< a bias on attention's output product
  bool feed_forward_bias = false;                    ///< biases on gate, up and down
  QueryKeyNorm query_key_norm = QueryKeyNorm::none;  ///< head: Qwen3; projection: OLMo 2
  /// Norms lie before attention and feed-forward, or behind them, before the sum (OLMo 2), or both
  /// (Gemma 2).
  bool norms_before = true;
  bool norms_behind = false;
  /// Queries, keys and values are stored as one matrix, gate and up as another (Phi-3).
  bool fused_projections = false;
  /// The file's weights of norms are 1 less than what rows are multiplied with (Gemma, but not in
  /// GGUF files).
  bool norm_weights_less_1 = false;
  Activation activation = Activation::silu;  ///< of the feed-forward's gate
  double embedding_scale = 1;  ///< a token's residual stream begins with its embedding times this
  double logit_cap = 0;        ///< logits l become cap tanh(l / cap) (Gemma 2); 0: they stay
  bool bf16_layers = false;    ///< the file keeps every matrix of the layers but routers in bf16
  RopeConfig rope;
  /// Of layers that have a window, where it differs from the others' (Gemma 3, OLMo 3).
  std::optional<RopeConfig> window_rope;
  /// [L], whether the layer's queries and keys are rotated; empty: in every layer (SmolLM3: not in
  /// every fourth).
  std::vector<bool> rotary_layers;
  ExpertsConfig experts;
  /// [L], whether the layer has experts instead of one feed-forward part; empty: none has.
  std::vector<bool> expert_layers;
  /// What the file says and is left aside, a line each.
  std::vector<std::string> warnings;

  std::size_t group_size() const { return n_heads / n_kv_heads; }  // G
  /// As in windows.
  std::size_t window(std::size_t layer) const { return windows.empty() ? 0 : windows[layer]; }
  const RopeConfig& rope_of(std::size_t layer) const {
    return window_rope && window(layer) != 0 ? *window_rope : rope;
  }
  /// Whether every token of a text of `tokens` sees all before it in this layer.
  bool sees_all(std::size_t layer, std::size_t tokens) const {
    return window(layer) == 0 || window(layer) >= tokens;
  }
  bool has_experts(std::size_t layer) const {
    return !expert_layers.empty() && expert_layers[layer];
  }
};

/// The name that Hugging Face gives the architecture: "llama", "mistral", "qwen2",
/// "mixtral", "qwen3", "qwen3_moe", "olmo2", "olmo3", "smollm3", "phi3", "gemma2", "gemma3".
const char* name_of(Architecture architecture);

/// As config.json and GGUF files call it: "yarn".
const char* name_of(RopeScaling scaling);

/// How many tokens can be read and why no more, for messages: "the model was trained to read 2048".
std::string describe_max_context(const ModelConfig& config);

/// From a GGUF file's metadata (and which tensors it has: tied embeddings, biases, frequency
/// divisors), as llama.cpp reads it. Throws Error naming the key that is missing, malformed, out of
/// range or asks for what the forward pass does not compute.
ModelConfig config_from_gguf(const Gguf& gguf);

/// From a Hugging Face config.json, of transformers 5 or earlier, as transformers reads it;
/// `source` names it in messages. Throws Error as above. Believes what it says of the weights'
/// type.
ModelConfig config_from_json(std::span<const std::byte> config_json, const std::string& source);

}  // namespace longshadow
