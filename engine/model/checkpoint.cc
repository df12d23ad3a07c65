#include "engine/model/checkpoint.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

#include "engine/backend/parallel_for.h"
#include "engine/core/error.h"
#include "engine/core/sha256.h"
#include "engine/io/utf8.h"
#include "engine/model/foreign_model.h"
#include "engine/model/stored_model.h"

namespace longshadow {
namespace {

/// Throws Error unless the model's tensors are those of the table, each of its shape. A tensor that
/// the table does not know would be an influence on the output that nobody computes.
void check_tensors(const StoredModel& model, std::span<const WeightName> table) {
  std::map<std::string_view, const WeightName*> expected;
  for (const WeightName& weight : table) expected.emplace(weight.*model.tensor_name, &weight);
  for (const StoredTensor& tensor : model.tensors) {
    if (!expected.contains(tensor.name)) {
      throw Error(model.source + ": the tensor " + quote(tensor.name) + " is not part of a " +
                  name_of(model.config.architecture) + " model as computed here");
    }
  }
  for (const auto& [name, weight] : expected) {
    const StoredTensor* tensor = find_tensor(model.tensors, name);
    if (tensor == nullptr) {
      throw Error(model.source + ": the tensor " + quote(name) + " is missing");
    }
    const std::vector<std::size_t> shape =
        weight->rows == 1 ? std::vector{weight->cols} : std::vector{weight->rows, weight->cols};
    if (tensor->shape != shape) {
      throw Error(model.source + ": the tensor " + quote(name) + ": expected the shape " +
                  describe_shape(shape) + ", found " + describe_shape(tensor->shape));
    }
  }
}

bool has_bf16_layers(const StoredModel& model, std::span<const WeightName> table) {
  return std::ranges::all_of(table, [&](const WeightName& weight) {
    const bool is_of_layer = weight.rows > 1 && weight.kind != WeightKind::token_embedding &&
                             weight.kind != WeightKind::output;
    return !is_of_layer ||
           find_tensor(model.tensors, weight.*model.tensor_name)->type == StorageType::bf16;
  });
}

bool is_rotated(WeightKind kind) {
  return kind == WeightKind::query || kind == WeightKind::query_bias || kind == WeightKind::key ||
         kind == WeightKind::key_bias;
}

/// Where row r of the halves order lies among rows that alternate between the halves.
std::size_t interleaved_row(std::size_t r, std::size_t head_dim) {
  const std::size_t head_begin = r / head_dim * head_dim;
  const std::size_t element = r - head_begin;
  const std::size_t half = element / (head_dim / 2);
  return head_begin + 2 * (element % (head_dim / 2)) + half;
}

bool all_finite(std::span<const float> values) {
  constexpr std::uint32_t kExponent = 0x7f800000u;
  bool finite = true;
  for (const float value : values) {
    finite &= (std::bit_cast<std::uint32_t>(value) & kExponent) != kExponent;
  }
  return finite;
}

class StoredCheckpoint final : public Checkpoint {
 public:
  explicit StoredCheckpoint(StoredModel model) : model_(std::move(model)) {
    const std::vector<WeightName> table = weight_table(model_.config);
    check_tensors(model_, table);
    model_.config.bf16_layers = has_bf16_layers(model_, table);
  }

  const ModelConfig& config() const override { return model_.config; }
  const Tokenizer& tokenizer() const override { return model_.tokenizer; }
  const GenerationSettings& generation() const override { return model_.generation; }

  std::vector<std::string> warnings() const override {
    std::vector<std::string> all = model_.warnings;
    for (const auto& more :
         {model_.config.warnings, model_.tokenizer.warnings(), model_.generation.warnings}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    const std::size_t tokens = model_.tokenizer.vocab_size(), rows = model_.config.vocab_size;
    if (tokens > rows) {
      all.push_back(model_.source + ": the tokenizer has " + std::to_string(tokens) +
                    " tokens, the model embeds " + std::to_string(rows) +
                    "; a text with one of the others cannot be read");
    }
    return all;
  }

  void read(const WeightName& weight, std::span<float> out) const override {
    const StoredTensor* tensor = find_tensor(model_.tensors, weight.*model_.tensor_name);
    if (tensor == nullptr || out.size() != weight.rows * weight.cols ||
        tensor->elements() != out.size()) {
      throw Error(model_.source + ": no tensor " + quote(weight.*model_.tensor_name) + " of " +
                  std::to_string(out.size()) + " elements to read");
    }
    const bool interleaved = model_.interleaved_rotary && is_rotated(weight.kind);
    const bool finite = weight.rows == 1 ? read_vector(*tensor, interleaved, out)
                                         : read_matrix(*tensor, interleaved, weight.cols, out);
    if (!finite) {
      throw Error(model_.source + ": the tensor " + quote(tensor->name) +
                  " holds a value that is not finite; the file is damaged");
    }
  }

  std::string weights_sha256() const override {
    std::call_once(is_digested_, [&] {
      std::string digests;
      for (const MappedFile& file : model_.weight_files) digests += sha256_hex(file.bytes());
      digest_ =
          model_.weight_files.size() == 1 ? digests : sha256_hex(std::as_bytes(std::span(digests)));
    });
    return digest_;
  }

 private:
  /// Whether every element read is finite.
  bool read_matrix(const StoredTensor& tensor, bool interleaved, std::size_t cols,
                   std::span<float> out) const {
    std::atomic<bool> finite = true;
    // Rows are whole blocks of a range that has been checked, so that nothing throws in here.
    parallel_for(out.size() / cols, [&](std::size_t row) {
      const std::size_t stored = interleaved ? interleaved_row(row, model_.config.head_dim) : row;
      const std::span<float> values = out.subspan(row * cols, cols);
      dequantize(tensor, stored * cols, values);
      if (!all_finite(values)) finite = false;
    });
    return finite;
  }

  bool read_vector(const StoredTensor& tensor, bool interleaved, std::span<float> out) const {
    dequantize(tensor, 0, out);
    if (interleaved) {
      const std::vector<float> stored(out.begin(), out.end());
      for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = stored[interleaved_row(i, model_.config.head_dim)];
      }
    }
    return all_finite(out);
  }

  StoredModel model_;
  mutable std::once_flag is_digested_;
  mutable std::string digest_;
};

}  // namespace

std::vector<WeightName> weight_table(const ModelConfig& config) {
  const std::size_t hidden = config.hidden_size;
  const std::size_t feed_forward = config.feed_forward_size;
  const std::size_t queries = config.n_heads * config.head_dim;
  const std::size_t keys = config.n_kv_heads * config.head_dim;

  std::vector<WeightName> table;
  table.push_back({WeightKind::token_embedding, 0, config.vocab_size, hidden, "token_embd.weight",
                   "model.embed_tokens.weight"});
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    const auto add = [&](WeightKind kind, std::size_t rows, std::size_t cols, const char* gguf,
                         const char* hugging_face) {
      const std::string number = std::to_string(layer);
      table.push_back({kind, layer, rows, cols, "blk." + number + "." + gguf,
                       "model.layers." + number + "." + hugging_face});
    };
    using enum WeightKind;
    add(attention_norm, 1, hidden, "attn_norm.weight", "input_layernorm.weight");
    add(query, queries, hidden, "attn_q.weight", "self_attn.q_proj.weight");
    add(key, keys, hidden, "attn_k.weight", "self_attn.k_proj.weight");
    add(value, keys, hidden, "attn_v.weight", "self_attn.v_proj.weight");
    if (config.attention_bias) {
      add(query_bias, 1, queries, "attn_q.bias", "self_attn.q_proj.bias");
      add(key_bias, 1, keys, "attn_k.bias", "self_attn.k_proj.bias");
      add(value_bias, 1, keys, "attn_v.bias", "self_attn.v_proj.bias");
    }
    add(attention_output, hidden, queries, "attn_output.weight", "self_attn.o_proj.weight");
    if (config.output_bias)
      add(output_bias, 1, hidden, "attn_output.bias", "self_attn.o_proj.bias");
    add(feed_forward_norm, 1, hidden, "ffn_norm.weight", "post_attention_layernorm.weight");
    add(gate, feed_forward, hidden, "ffn_gate.weight", "mlp.gate_proj.weight");
    add(up, feed_forward, hidden, "ffn_up.weight", "mlp.up_proj.weight");
    add(down, hidden, feed_forward, "ffn_down.weight", "mlp.down_proj.weight");
    if (config.feed_forward_bias) {
      add(gate_bias, 1, feed_forward, "ffn_gate.bias", "mlp.gate_proj.bias");
      add(up_bias, 1, feed_forward, "ffn_up.bias", "mlp.up_proj.bias");
      add(down_bias, 1, hidden, "ffn_down.bias", "mlp.down_proj.bias");
    }
  }
  table.push_back(
      {WeightKind::final_norm, 0, 1, hidden, "output_norm.weight", "model.norm.weight"});
  if (!config.tied_embeddings) {
    table.push_back(
        {WeightKind::output, 0, config.vocab_size, hidden, "output.weight", "lm_head.weight"});
  }
  return table;
}

std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path) {
  std::error_code ignored;  // what cannot be examined is reported when it is opened
  if (std::filesystem::is_directory(path, ignored)) {
    return std::make_unique<StoredCheckpoint>(open_hugging_face_model(path));
  }
  refuse_foreign_file(path);
  return std::make_unique<StoredCheckpoint>(open_gguf_model(path));
}

}  // namespace longshadow
