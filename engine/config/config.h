#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace longshadow {

struct Gguf;

enum class Architecture { llama, mistral, qwen2, qwen3, olmo2, smollm3, mixtral, qwen3_moe };

/// What an RMSNorm over queries and keys, between projection and RoPE, normalises together.
enum class QueryKeyNorm { none, head, projection };

/// The ways rotary frequencies are stretched for long contexts, by Hugging Face's names;
/// rotary_frequencies() has their formulas.
enum class RopeScaling { none, linear, dynamic, yarn, llama3 };

struct RopeConfig {
  double theta = 10000.0;  ///< base of the frequencies
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;  ///< positions are stretched by this much
  /// dynamic, yarn and llama3: tokens the model was trained to read before it was stretched.
  std::size_t original_context = 8192;
  /// llama3 only.
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  /// llama3 only, [d / 2]: what each frequency is divided by, where the file stores the divisors (a
  /// GGUF file's rope_freqs.weight). Used instead of the four numbers above; empty otherwise.
  std::vector<double> frequency_divisors;
  /// yarn only: pairs that turn more often than beta_fast within the original context stay, those
  /// that turn less often than beta_slow are stretched; whether the band between them is widened to
  /// whole pairs.
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  bool truncate = true;
  /// Rotated queries and keys are longer by this (yarn), so scores larger by its square.
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
  std::size_t max_context = 0;        // tokens the model was made to read, and can be read here
  /// Tokens that attention looks back over in some layer, where that is why max_context is no
  /// larger: windows are not computed, and in a text that fits into one none is needed. Else 0.
  std::size_t attention_window = 0;
  double norm_epsilon = 1e-5;
  bool tied_embeddings = false;                      ///< the output matrix is the embedding matrix
  bool attention_bias = false;                       ///< biases on q, k and v (Qwen2)
  bool output_bias = false;                          ///< a bias on attention's output product
  bool feed_forward_bias = false;                    ///< biases on gate, up and down
  QueryKeyNorm query_key_norm = QueryKeyNorm::none;  ///< head: Qwen3; projection: OLMo 2
  /// Norms lie behind attention and feed-forward, before the sum, instead of before them (OLMo 2).
  bool norms_behind = false;
  bool bf16_layers = false;  ///< the file keeps every matrix of the layers but routers in bf16
  RopeConfig rope;
  /// [L], whether the layer's queries and keys are rotated; empty: in every layer (SmolLM3: not in
  /// every fourth).
  std::vector<bool> rotary_layers;
  ExpertsConfig experts;
  /// [L], whether the layer has experts instead of one feed-forward part; empty: none has.
  std::vector<bool> expert_layers;
  /// What the file says and is left aside, a line each.
  std::vector<std::string> warnings;

  std::size_t group_size() const { return n_heads / n_kv_heads; }  // G
  bool has_experts(std::size_t layer) const {
    return !expert_layers.empty() && expert_layers[layer];
  }
};

/// The name that Hugging Face gives the architecture: "llama", "mistral", "qwen2",
/// "qwen3", "olmo2", "smollm3", "mixtral", "qwen3_moe".
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
