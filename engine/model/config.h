#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace longshadow {

struct Gguf;

enum class Architecture { llama, qwen2 };

/// The three ways rotary frequencies are stretched for long contexts.
enum class RopeScaling { none, linear, llama3 };

struct RopeConfig {
  double theta = 10000.0;  ///< base of the frequencies
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;  ///< positions are stretched by this much (linear and llama3)
  /// llama3 only (https://arxiv.org/abs/2407.21783, Hugging Face `rope_type: llama3`).
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  std::size_t original_context = 8192;
  /// llama3 only, [d / 2]: what each frequency is divided by, where the file stores the divisors (a
  /// GGUF file's rope_freqs.weight). Used instead of the four numbers above; empty otherwise.
  std::vector<double> frequency_divisors;
};

/// Everything about a decoder-only transformer that its weights do not say themselves.
/// Dimension letters, used throughout the engine:
///   L layers, D hidden size, H query heads, K key-value heads, G = H / K, d head size,
///   F feed-forward size, V vocabulary, n tokens.
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
  std::size_t max_context = 0;        // tokens the model was trained to read
  double norm_epsilon = 1e-5;
  bool tied_embeddings = false;  ///< the output matrix is the embedding matrix
  bool attention_bias = false;   ///< biases on q, k and v (Qwen2)
  bool bf16_layers = false;      ///< the model's file keeps every matrix of its layers in bf16
  RopeConfig rope;

  std::size_t group_size() const { return n_heads / n_kv_heads; }  // G
};

/// The name that both formats give the architecture: "llama", "qwen2".
const char* name_of(Architecture architecture);

/// From a GGUF file's metadata (and which tensors it has: tied embeddings, biases, frequency
/// divisors). Throws Error naming the key that is missing, malformed, out of range or asks for what
/// the forward pass does not compute.
ModelConfig config_from_gguf(const Gguf& gguf);

/// From a Hugging Face config.json, of transformers 5 or earlier; `source` names it in messages.
/// Throws Error as above. Believes what it says of the weights' type.
ModelConfig config_from_json(std::span<const std::byte> config_json, const std::string& source);

}  // namespace longshadow
