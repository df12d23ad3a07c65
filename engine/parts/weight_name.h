#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace longshadow {

/// The tensors of a decoder layer and of the model, in the forward pass's words; the part that owns
/// a tensor states its shape.
enum class WeightKind {
  token_embedding,
  attention_norm,
  attention_output_norm,
  query,
  key,
  value,
  query_bias,
  key_bias,
  value_bias,
  query_norm,
  key_norm,
  attention_output,
  output_bias,
  feed_forward_norm,
  feed_forward_output_norm,
  gate,
  up,
  down,
  gate_bias,
  up_bias,
  down_bias,
  router,
  final_norm,
  output,
};

/// A tensor of a layer: its kind and, where each expert of the layer has one, the expert.
struct LayerWeight {
  WeightKind kind;
  std::size_t expert;

  LayerWeight(WeightKind of_kind, std::size_t of_expert = 0) : kind(of_kind), expert(of_expert) {}

  friend bool operator<(const LayerWeight& a, const LayerWeight& b) {
    return std::pair(a.kind, a.expert) < std::pair(b.kind, b.expert);
  }
};

/// A tensor's identity, shape and name in both file formats.
struct WeightName {
  WeightKind kind;
  std::size_t layer;  ///< 0 for the tensors that belong to no layer
  std::size_t rows;   ///< 1 for vectors
  std::size_t cols;
  std::string gguf;          ///< e.g. blk.3.attn_q.weight
  std::string hugging_face;  ///< e.g. model.layers.3.self_attn.q_proj.weight
  /// Rows are elements of heads that are rotated in pairs; some files store them in another order.
  bool rotary_rows = false;
  std::size_t expert = 0;  ///< 0 for the tensors that belong to none
  /// Where the rows begin in the tensor of that name, and how many it has; 0: these rows alone.
  std::size_t first_row = 0;
  std::size_t all_rows = 0;

  std::size_t stored_rows() const { return all_rows == 0 ? rows : all_rows; }
};

/// Collects the tensors of one layer: a part adds each of its own once.
class LayerNames {
 public:
  LayerNames(std::size_t layer, std::vector<WeightName>& table) : layer_(layer), table_(table) {}

  std::size_t layer() const { return layer_; }

  /// A matrix that is stored among others, as the rows from `first_row` on of `all_rows`.
  void add_rows_of(WeightKind kind, std::size_t rows, std::size_t cols, const std::string& gguf,
                   const std::string& hugging_face, std::size_t first_row, std::size_t all_rows,
                   bool rotary_rows = false) {
    add(kind, rows, cols, gguf, hugging_face, rotary_rows);
    table_.back().first_row = first_row;
    table_.back().all_rows = all_rows;
  }

  /// Names as they follow the layer's prefix: "attn_q.weight", "self_attn.q_proj.weight".
  void add(LayerWeight weight, std::size_t rows, std::size_t cols, const std::string& gguf,
           const std::string& hugging_face, bool rotary_rows = false) {
    const std::string number = std::to_string(layer_);
    table_.push_back({weight.kind, layer_, rows, cols, "blk." + number + "." + gguf,
                      "model.layers." + number + "." + hugging_face, rotary_rows, weight.expert});
  }

 private:
  std::size_t layer_;
  std::vector<WeightName>& table_;
};

}  // namespace longshadow
