#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/io/tokenizer.h"
#include "engine/model/config.h"
#include "engine/model/generation_settings.h"

namespace longshadow {

/// The tensors of a decoder layer and of the model, in the forward pass's words.
enum class WeightKind {
  token_embedding,    // [V, D]
  attention_norm,     // [D]
  query,              // [H d, D]
  key,                // [K d, D]
  value,              // [K d, D]
  query_bias,         // [H d]; the biases exist where config.attention_bias
  key_bias,           // [K d]
  value_bias,         // [K d]
  attention_output,   // [D, H d]
  output_bias,        // [D]; where config.output_bias
  feed_forward_norm,  // [D]
  gate,               // [F, D]
  up,                 // [F, D]
  down,               // [D, F]
  gate_bias,          // [F]; the three exist where config.feed_forward_bias
  up_bias,            // [F]
  down_bias,          // [D]
  final_norm,         // [D]
  output,             // [V, D]; absent where the embeddings are tied
};

struct WeightName {
  WeightKind kind;
  std::size_t layer;  ///< 0 for the tensors that belong to no layer
  std::size_t rows;   ///< 1 for vectors
  std::size_t cols;
  std::string gguf;          ///< e.g. blk.3.attn_q.weight
  std::string hugging_face;  ///< e.g. model.layers.3.self_attn.q_proj.weight
};

/// The one table from a model's tensors to their shapes and their names in both formats.
std::vector<WeightName> weight_table(const ModelConfig& config);

/// An opened model: its configuration, tokenizer and tensors, whatever the file format.
/// Rows of q and k come in the order of rotated halves (element i pairs with i + d/2); a GGUF llama
/// file's interleaved rows are put back into that order.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  virtual const ModelConfig& config() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual const GenerationSettings& generation() const = 0;
  /// What in the files is contradictory or left aside, a line each, for whoever uses the model.
  virtual std::vector<std::string> warnings() const = 0;
  /// The tensor as f32 [rows, cols]; out.size() must be rows * cols. Throws Error, also where a
  /// value is not finite.
  virtual void read(const WeightName& weight, std::span<float> out) const = 0;
  /// SHA-256 of the weight file (of several: of their digests in name order). Read once.
  virtual std::string weights_sha256() const = 0;
};

/// Opens a GGUF file or a Hugging Face folder (config.json, tokenizer.json, *.safetensors), checks
/// every tensor of weight_table against it, and throws Error naming what is missing or malformed;
/// of what other programs call a model, it says what it is and how to convert it. Tokens of the
/// tokenizer may lie beyond the embedding's rows: texts are checked for them by who reads them.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path);

}  // namespace longshadow
